package forge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	checkTimeout = 15 * time.Second
	maxAnswer    = 4 << 10 // bytes
)

// nowhere is a commit that no repository has. All zeros would stand for no commit.
var nowhere = strings.Repeat("0", 39) + "1"

// Check reports whether the forge takes commit statuses of a repository with its token. It sends
// one for a commit that does not exist: forges look at the token and its rights first, and answer
// 401, 403 or 404, and refuse the commit by another status. The error says what to do, and is
// [errdef.ErrUnauthorized] or [errdef.ErrUnavailable].
func Check(ctx context.Context, f pinion.Forge) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	revision, err := git.ParseRevision(nowhere)
	if err != nil {
		return err
	}
	m, err := message(f, status{revision: revision, state: pending, context: "pinion"})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return err
	}
	req.Header = m.Header
	transport := outbox.Transport(f.TLS)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req) // follows no redirect
	if err != nil {
		return fmt.Errorf("%w: %w", errdef.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what there is decides
	return answerError(f.Kind, resp, string(text))
}

// answerError returns what an answer says about the token, nil if the forge looked for the commit.
// GitLab has 404 for both a project and a commit that it does not find.
func answerError(kind resolver.ForgeKind, resp *http.Response, text string) error {
	refused := func(remedy string) error {
		return fmt.Errorf("%w: the forge answers %s: %s", errdef.ErrUnauthorized, resp.Status,
			remedy)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		return refused("the token is wrong or has expired")
	case code == http.StatusForbidden:
		return refused("the token may not set commit statuses there; check its scopes and its " +
			"user's rights")
	case code == http.StatusNotFound && kind == resolver.ForgeGitLab &&
		strings.Contains(text, "Commit"):
		return nil
	case code == http.StatusNotFound:
		return refused("the token does not see the repository, or the forge is of another kind")
	case code >= 300 && code < 400:
		return refused("redirects are not followed; use the address of the repository as it is " +
			"now")
	case code == http.StatusTooManyRequests, code == http.StatusBadGateway,
		code == http.StatusServiceUnavailable, code == http.StatusGatewayTimeout:
		return fmt.Errorf("%w: the forge answers %s", errdef.ErrUnavailable, resp.Status)
	case code < 300:
		return errors.New("the forge took the status of a commit that does not exist")
	}
	return nil
}
