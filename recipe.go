package pinion

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// recipeSchema enters every key. Raise it when the same recipe would give another image than
// before.
const recipeSchema = 1

// defaultPlatform is the one whose tags carry no suffix.
const defaultPlatform = "linux/amd64"

// namespace is the repository prefix of every image that Pinion makes. Nothing outside it is ever
// tagged or untagged.
const namespace = "molecule-local/"

// Labels on every image that Pinion builds. They are a function of the recipe alone: a label with a
// time in it would give each build of the same recipe another image ID.
const (
	LabelSource   = "org.opencontainers.image.source"
	LabelRevision = "org.opencontainers.image.revision"
	// LabelRecipe holds the recipe's digest, "sha256:<hex>".
	LabelRecipe = "app.moleculesai.pinion.recipe"
	// LabelTree holds the digest of a working tree, "sha256:<hex>", in place of source and
	// revision: what was built of one is of no commit.
	LabelTree = "app.moleculesai.pinion.tree"
)

// recipe is everything that decides what the image is. It owns the names: key, tag and labels come
// from here and nowhere else.
type recipe struct {
	Schema     int    `json:"schema"`
	Repository string `json:"repository"`
	Revision   string `json:"revision"`
	Subdir     string `json:"subdir"`
	Dockerfile string `json:"dockerfile"`
	Target     string `json:"target"`
	Platform   string `json:"platform"`
	Image      string `json:"image"`
	// Tree is the digest of the working tree that is built instead of a commit, "sha256:<hex>".
	Tree string `json:"tree,omitempty"`
	// Labels are those that were asked for, besides Pinion's own.
	Labels map[string]string `json:"labels,omitempty"`
	// Provenance is the statement that goes with the image, "min" or "max".
	Provenance string `json:"provenance,omitempty"`
}

// newRecipe takes the platform apart from the template, since "native" is known only to the
// builder.
func newRecipe(t resolver.Template, platform string) recipe {
	return recipe{
		Schema: recipeSchema, Repository: t.Remote.String(), Subdir: t.Subdir,
		Dockerfile: t.Dockerfile,
		Target:     t.Target, Platform: platform, Image: t.Image,
	}
}

func (r recipe) at(rev git.Revision) recipe {
	r.Revision = rev.String()
	return r
}

// ofTree is for a working tree instead of a commit.
func (r recipe) ofTree(tree string) recipe {
	r.Tree = tree
	return r
}

// digest of the canonical form: encoding/json writes struct fields in order.
func (r recipe) digest() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// key is what caches and locks go by.
func (r recipe) key() string { return r.digest() }

// line is the key less the commit: the records of one template's history share it. Working trees
// have a line of their own, so that trying things out pushes no commit's image out of the newest
// few.
func (r recipe) line() string {
	r.Revision = ""
	if r.Tree != "" {
		r.Tree = anyTree
	}
	return r.digest()
}

// anyTree stands for the digest of a working tree that is not known, or does not matter.
const anyTree = "sha256:"

// short is what a tag tells of the commit, or of the working tree.
func (r recipe) short() string {
	if r.Tree != "" {
		hex := strings.TrimPrefix(r.Tree, "sha256:")
		return "dev-" + hex[:min(12, len(hex))]
	}
	return r.Revision[:min(12, len(r.Revision))]
}

// suffix keeps platforms, and labels that were asked for, apart in the tag, so that no hit can have
// the wrong architecture.
func (r recipe) suffix() string {
	if r.Platform == defaultPlatform {
		return r.variant()
	}
	return r.variant() + "-" + strings.ReplaceAll(r.Platform, "/", "-")
}

func (r recipe) repository() string { return namespace + r.Image }

// reference is the pinned name.
func (r recipe) reference() string { return r.repository() + ":" + r.tag() }

func (r recipe) tag() string { return r.short() + r.suffix() }

// latest is for people; nothing in Pinion reads it.
func (r recipe) latest() string { return r.repository() + ":" + r.latestTag() }

func (r recipe) latestTag() string { return "latest" + r.suffix() }

// temporary is what an image is called until it has been verified. It is the same for each attempt
// of one owner at a key, so that an attempt which was killed leaves at most one, and the next takes
// it over; and another one for those who do not share our locks.
func (r recipe) temporary(owner string) string {
	return r.temporaryOf(r.key(), owner)
}

// temporaryOf is temporary where no more of the recipe is known than its key and the image's name.
func (r recipe) temporaryOf(key, owner string) string {
	return r.repository() + ":unverified-" + key[:12] + "-" + owner
}

// recorded is what a record tells of its recipe: enough for its names, not for its key. It is false
// if those are not the names that the record has, so that nothing else is ever taken for ours.
func recorded(rec cache.Record) (recipe, bool) {
	repository, _, _ := strings.Cut(rec.Reference, ":")
	image, ours := strings.CutPrefix(repository, namespace)
	r := recipe{Image: image, Revision: rec.Revision, Tree: rec.Tree, Platform: rec.Platform,
		Repository: rec.Repository, Labels: rec.Labels, Provenance: rec.Provenance}
	return r, ours && len(rec.Key) == hex.EncodedLen(sha256.Size) && r.reference() == rec.Reference
}

func (r recipe) labels() map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, r.Labels)
	labels[LabelRecipe] = "sha256:" + r.digest()
	if r.Tree != "" {
		labels[LabelTree] = r.Tree
		return labels
	}
	labels[LabelSource], labels[LabelRevision] = r.Repository, r.Revision
	return labels
}
