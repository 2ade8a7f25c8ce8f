package recipe

import (
	"fmt"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// maxIsolation is the length of the longest token, so that a tag stays within its 128 characters.
const maxIsolation = 32

// ParseIsolation returns the token, "" for blanks. It refuses one that is not plain; the error is
// of kind [resolver.ErrInvalidInput].
func ParseIsolation(token string) (string, error) {
	if strings.TrimSpace(token) == "" {
		return "", nil
	}
	// A name has single separators, so "--" in a tag comes before the token and nowhere else.
	if len(token) <= maxIsolation && resolver.IsName(token) {
		return token, nil
	}
	return "", fmt.Errorf("%w: isolation token %.40q: a token has at most %d lower-case letters "+
		"and digits, with single dots, dashes or underscores between them",
		resolver.ErrInvalidInput, token, maxIsolation)
}
