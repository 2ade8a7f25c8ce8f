// Package recipe owns all that decides what an image is, and the names that follow from it: key,
// line, tag, temporary name and labels come from a [Recipe] and from nowhere else.
//
// It guarantees that two recipes with different parts have different keys, and that an image has
// the name of another one only if all parts of the recipe that the name shows agree. It opens no
// file and contacts nothing.
package recipe

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// schema enters every key. Raise it when the same recipe would give another image than before.
const schema = 1

// UnknownTree stands for the digest of a working tree that is not known yet. A recipe with it has
// the line of all working trees, and no key.
const UnknownTree = "sha256:"

// Recipe is everything that decides what an image is. It is a value: its methods return changed
// copies. The JSON form is what the key is the digest of.
type Recipe struct {
	Schema     int          `json:"schema"`
	Repository string       `json:"repository"` // without credentials
	Revision   git.Revision `json:"revision"`   // zero for a working tree
	Subdir     string       `json:"subdir"`
	Dockerfile string       `json:"dockerfile"`
	Target     string       `json:"target"`
	Platform   string       `json:"platform"` // os/arch[/variant]
	Image      string       `json:"image"`
	// Tree is the digest of the working tree that is built instead of a commit, "sha256:<hex>".
	Tree string `json:"tree,omitempty"`
	// Extra are the labels that the caller asked for, besides Pinion's own.
	Extra map[string]string `json:"labels,omitempty"`
	// Provenance is the mode of the statement that goes with the image: "min", "max" or "".
	Provenance string `json:"provenance,omitempty"`
	// Args are the rules for build arguments, sorted by name. The commit and the rules together
	// decide the values.
	Args []arg.Rule `json:"args,omitempty"`
	// KeepGitDir leaves the repository's .git in the build context.
	KeepGitDir bool `json:"keep_git_dir,omitempty"`
	// Submodules are the places whose repositories may be submodules in the build context.
	Submodules []string `json:"submodules,omitempty"`
	// LFS fetches files in Git LFS.
	LFS bool `json:"lfs,omitempty"`
	// AllowBasePlatform allows a base image of another platform: an image for which it was allowed
	// is none for which it is not.
	AllowBasePlatform bool `json:"allow_base_platform,omitempty"`
	// PullRequest is the number of the pull request whose head Revision is, 0 for a branch.
	PullRequest int `json:"pull_request,omitempty"`
	// Isolation is the token that keeps the images of several users of one store apart, or "".
	Isolation string `json:"isolation,omitempty"`

	// form is the part of the tag for a recipe that differs from its template's usual form.
	form string
}

// New returns the recipe of a template, without a revision. The platform is a parameter of its own,
// since only the builder knows what "native" is.
func New(t resolver.Template, platform string) Recipe {
	return Recipe{
		Schema: schema, Repository: t.Remote.String(), Subdir: t.Subdir, Dockerfile: t.Dockerfile,
		Target: t.Target, Platform: platform, Image: t.Image, Args: t.Args,
		KeepGitDir: t.KeepGitDir, Submodules: slices.Sorted(slices.Values(t.Submodules)),
		LFS: t.LFS, AllowBasePlatform: t.AllowBasePlatform, form: formOf(t),
	}
}

// At returns the recipe for a commit.
func (r Recipe) At(rev git.Revision) Recipe {
	r.Revision = rev
	return r
}

// OfTree returns the recipe for the working tree with that digest, "sha256:<hex>".
func (r Recipe) OfTree(digest string) Recipe {
	r.Tree = digest
	return r
}

// WithLabels returns the recipe with labels besides Pinion's own. [CheckLabels] says which are
// allowed.
func (r Recipe) WithLabels(labels map[string]string) Recipe {
	r.Extra = labels
	return r
}

// WithProvenance returns the recipe with a statement of provenance: "min", "max", or "" for none.
func (r Recipe) WithProvenance(mode string) Recipe {
	r.Provenance = mode
	return r
}

// WithIsolation returns the recipe with a token that keeps it apart from those of other tokens, or
// without one for "". [ParseIsolation] says which are allowed.
func (r Recipe) WithIsolation(token string) Recipe {
	r.Isolation = token
	return r
}

// OfPullRequest returns the recipe for the head of a pull request, by its number, or for a branch
// with 0. It shares neither key, line nor a name with that of a branch, also at the same commit.
func (r Recipe) OfPullRequest(number int) Recipe {
	r.PullRequest = number
	return r
}

// Key returns the digest of the recipe in lower-case hex. Records and locks go by it.
func (r Recipe) Key() string { return r.digest() }

// Line returns the key without the commit: the records of one template's history share it. Working
// trees have a line of their own, so that experiments do not push commits out of the newest few.
func (r Recipe) Line() string {
	r.Revision = git.Revision{}
	if r.Tree != "" {
		r.Tree = UnknownTree
	}
	return r.digest()
}

// digest is that of the canonical form: encoding/json writes struct fields in order.
func (r Recipe) digest() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
