package recipe

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// The labels of every image that Pinion builds. They are a function of the recipe alone: a label
// with a time in it would give each build of the same recipe another image ID.
const (
	// LabelSource and LabelRevision are the repository and the commit (OCI image-spec,
	// annotations).
	LabelSource   = "org.opencontainers.image.source"
	LabelRevision = "org.opencontainers.image.revision"
	// LabelRecipe holds the key, "sha256:<hex>".
	LabelRecipe = reservedLabels + "recipe"
	// LabelTree holds the digest of a working tree, "sha256:<hex>", in place of source and
	// revision.
	LabelTree = reservedLabels + "tree"
	// LabelPullRequest holds the number of the pull request whose head the revision was.
	LabelPullRequest = reservedLabels + "pull-request"
)

// reservedLabels is the prefix of Pinion's own labels, present and future.
const reservedLabels = "app.moleculesai.pinion."

// Labels returns the labels of the image.
func (r Recipe) Labels() map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, r.Extra)
	labels[LabelRecipe] = "sha256:" + r.digest()
	if r.Tree != "" {
		labels[LabelTree] = r.Tree
		return labels
	}
	if r.PullRequest != 0 {
		labels[LabelPullRequest] = strconv.Itoa(r.PullRequest)
	}
	labels[LabelSource], labels[LabelRevision] = r.Repository, r.Revision.String()
	return labels
}

// CheckLabels refuses labels that would forge an image's origin, and those that two programs would
// read in different ways. The error is of kind [resolver.ErrInvalidInput].
func CheckLabels(labels map[string]string) error {
	for k, v := range labels {
		switch {
		case k == LabelSource, k == LabelRevision, strings.HasPrefix(k, reservedLabels):
			return fmt.Errorf("%w: the label %s says where the image comes from; "+
				"only Pinion sets it", resolver.ErrInvalidInput, k)
		case k == "", strings.ContainsFunc(k, isNoKeyRune):
			return fmt.Errorf("%w: label %q: a label's key holds no blanks, control characters "+
				"or =, and is not empty", resolver.ErrInvalidInput, k)
		case !utf8.ValidString(k), !utf8.ValidString(v), strings.ContainsRune(v, 0):
			return fmt.Errorf("%w: label %q: keys and values are UTF-8 without NUL",
				resolver.ErrInvalidInput, k)
		}
	}
	return nil
}

// isNoKeyRune reports whether a label's key must not hold r.
func isNoKeyRune(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '=' }
