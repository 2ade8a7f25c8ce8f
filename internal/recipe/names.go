package recipe

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// DefaultPlatform is the platform whose tags have no suffix.
const DefaultPlatform = "linux/amd64"

// Namespace is the repository prefix of every image that Pinion makes. Nothing outside of it is
// ever tagged or untagged.
const Namespace = resolver.LocalPrefix + "/"

// pullPrefix begins the tags of pull requests. Those of commits begin with 12 hex digits.
const pullPrefix = "pr-"

// Short returns what the tag shows of the commit or the working tree.
func (r Recipe) Short() string {
	if r.Tree != "" {
		digits := strings.TrimPrefix(r.Tree, "sha256:")
		return "dev-" + digits[:min(12, len(digits))]
	}
	if r.PullRequest != 0 {
		return fmt.Sprintf("%s%d-%s", pullPrefix, r.PullRequest, r.Revision.Short())
	}
	return r.Revision.Short()
}

// Reference returns the pinned name, repository and tag.
func (r Recipe) Reference() string { return r.repository() + ":" + r.Tag() }

// Tag returns the tag of the pinned name.
func (r Recipe) Tag() string { return r.Short() + r.suffix() + r.isolation() }

// Latest returns the name of the image that was built last, for users: Pinion never reads it. It is
// "" for a pull request, whose images never have it.
func (r Recipe) Latest() string {
	if r.PullRequest != 0 {
		return ""
	}
	return r.repository() + ":" + r.LatestTag()
}

// LatestTag returns the tag of Latest.
func (r Recipe) LatestTag() string { return "latest" + r.suffix() + r.isolation() }

// Temporary returns the name of the image until it has been verified. It is the same for each
// attempt of one owner at a key, so an attempt that was killed leaves one name at most, which the
// next attempt takes over. Owners that do not share locks have different names.
func (r Recipe) Temporary(owner string) string { return r.TemporaryOf(r.Key(), owner) }

// TemporaryOf is Temporary for a recipe of which only the key, the image's name and the isolation
// are known.
func (r Recipe) TemporaryOf(key, owner string) string {
	return r.repository() + ":unverified-" + key[:12] + "-" + owner + r.isolation()
}

func (r Recipe) repository() string { return Namespace + r.Image }

// suffix keeps platforms and variants apart in the tag, so that no hit has the wrong architecture.
func (r Recipe) suffix() string {
	if r.Platform == DefaultPlatform {
		return r.variant()
	}
	return r.variant() + "-" + strings.ReplaceAll(r.Platform, "/", "-")
}

// isolation ends every tag of a recipe that has a token. No other part of a tag has two dashes in a
// row.
func (r Recipe) isolation() string {
	if r.Isolation == "" {
		return ""
	}
	return "--" + r.Isolation
}

// variant keeps images of other forms, labels and attestations apart in the tag. What stands before
// it has a fixed length, and what stands behind begins with a dash.
func (r Recipe) variant() string {
	variant := ""
	if r.form != "" {
		variant = "." + r.form
	}
	if len(r.Extra) > 0 {
		variant += "." + shortDigest(r.Extra)
	}
	if r.Provenance != "" {
		variant += ".provenance-" + r.Provenance
	}
	return variant
}

// formOf returns the part of the tag for a template that is built in another than its usual form:
// from the Dockerfile at the root, without a target, with the template's standard arguments. It is
// "" for the usual form. The letter in front keeps it apart from the digest of labels.
func formOf(t resolver.Template) string {
	if t.Subdir == "" && t.Dockerfile == resolver.DefaultDockerfile && t.Target == "" &&
		!t.KeepGitDir && len(t.Submodules) == 0 && !t.LFS && !t.AllowBasePlatform &&
		slices.Equal(t.Args, resolver.StandardArgs(t.Name)) {
		return ""
	}
	return "f" + shortDigest(struct {
		Subdir, Dockerfile, Target string
		Args                       []arg.Rule
		KeepGitDir                 bool     `json:",omitempty"`
		Submodules                 []string `json:",omitempty"`
		LFS                        bool     `json:",omitempty"`
		AllowBasePlatform          bool     `json:",omitempty"`
	}{t.Subdir, t.Dockerfile, t.Target, t.Args, t.KeepGitDir,
		slices.Sorted(slices.Values(t.Submodules)), t.LFS, t.AllowBasePlatform})
}

// shortDigest returns 12 hex digits of a value's JSON form, in which the keys of maps are sorted.
func shortDigest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// FromRecord returns what a record holds of its recipe: enough for the names, not for the key. It
// reports false if those are not the names in the record, so that no other file is taken for an
// image of Pinion's.
func FromRecord(rec cache.Record) (r Recipe, ok bool) {
	repository, _, _ := strings.Cut(rec.Reference, ":")
	image, ours := strings.CutPrefix(repository, Namespace)
	var rev git.Revision
	if rev.UnmarshalText([]byte(rec.Revision)) != nil {
		return Recipe{}, false
	}
	r = Recipe{
		Image: image, Revision: rev, Tree: rec.Tree, Platform: rec.Platform,
		Repository: rec.Repository, Extra: rec.Labels, Provenance: rec.Provenance, form: rec.Form,
		Isolation: rec.Isolation, PullRequest: rec.PullRequest,
	}
	return r, ours && len(rec.Key) == hex.EncodedLen(sha256.Size) && r.Reference() == rec.Reference
}

// Form returns the part of the tag that says in which form the template is built, "" for the usual
// one. Records keep it, since FromRecord cannot derive it.
func (r Recipe) Form() string { return r.form }

// InUsualForm returns a recipe with the names that earlier versions gave in every form.
func (r Recipe) InUsualForm() Recipe {
	r.form = ""
	return r
}
