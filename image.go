package pinion

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/buildcache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Outcome says how an image came to be there.
type Outcome string

const (
	// OutcomeHit: it was there already, and was verified.
	OutcomeHit Outcome = "hit"
	// OutcomeBuilt: it was built and delivered.
	OutcomeBuilt Outcome = "built"
	// OutcomePulled: it was pulled from the registry (registry mode).
	OutcomePulled Outcome = "pulled"
	// OutcomeGiven: the catalogue gives the image. Its content was not compared with a commit.
	OutcomeGiven Outcome = "given"
)

// Labels on every image that Pinion builds. They are a function of the recipe alone: a label with a
// time in it would give each build of the same recipe another image ID.
const (
	LabelSource   = "org.opencontainers.image.source"
	LabelRevision = "org.opencontainers.image.revision"
	// LabelRecipe holds the recipe's digest, "sha256:<hex>".
	LabelRecipe = "app.moleculesai.pinion.recipe"
	// LabelTree holds the digest of a working tree, "sha256:<hex>", in place of source and
	// revision.
	LabelTree = "app.moleculesai.pinion.tree"
	// LabelPullRequest holds the number of the pull request whose head the revision was.
	LabelPullRequest = "app.moleculesai.pinion.pull-request"
)

// schemaVersion is the version of the JSON form of an [Image].
const schemaVersion = 1

// Image is an image in the local store and how it got there. Programs read its JSON form, which
// docs/receipt.md describes.
type Image struct {
	Schema  int           `json:"schema"`
	Name    string        `json:"name"`
	Mode    resolver.Mode `json:"mode"`
	Outcome Outcome       `json:"outcome"`
	// Reference names the image in the store; every user of the store can move it.
	Reference string `json:"reference"`
	// ID is the image's content address as the store gives it: the config's digest on Docker's
	// classic store, the manifest's on the containerd store and in a folder, the index's there for
	// an image with attestations. Create containers from it.
	ID string `json:"image_id"`
	// Revision is the commit built; zero in registry mode and for a working tree.
	Revision git.Revision `json:"revision,omitzero"`
	// PullRequest is the number of the pull request whose head Revision was, see [AtPullRequest]; 0
	// for a branch.
	PullRequest int `json:"pull_request,omitempty"`
	// Repository is the template's repository as people write it; empty where there is no Revision.
	Repository string `json:"repository,omitempty"`
	// Tree is the digest of the working tree that was built ([AtPath]), in the form "sha256:<hex>",
	// and empty for a commit. It covers the Dockerfile, and paths, modes, links and contents after
	// .dockerignore. Reference ends in its first 12 digits.
	Tree string `json:"tree,omitempty"`
	// Platform in the form os/arch[/variant].
	Platform string `json:"platform"`
	// ConfigDigest and ManifestDigest are what the builder reported for the image; empty in
	// registry mode, and where it did not report one (Docker 20.10 gives the config's digest under
	// the manifest's name).
	ConfigDigest   string `json:"-"`
	ManifestDigest string `json:"-"`
	// Descriptor is that of ManifestDigest as the builder reported it; nil where it did not, where
	// an older version of Pinion built the image, and in registry mode.
	Descriptor *ocispecs.Descriptor `json:"-"`
	// BuildRef is what `docker buildx history` calls the build, builder/node/ref; empty unless
	// something was built, and where buildx does not know the builder.
	BuildRef string `json:"-"`
	Receipt
}

// clone returns a copy for one of the callers that share a result.
func (i Image) clone() Image {
	i.Builder, i.Fetch, i.Delivery = copyOf(i.Builder), copyOf(i.Fetch), copyOf(i.Delivery)
	i.Cache, i.Descriptor = copyOf(i.Cache), copyOf(i.Descriptor)
	if i.Descriptor != nil {
		i.Descriptor.Annotations = maps.Clone(i.Descriptor.Annotations)
		i.Descriptor.Platform = copyOf(i.Descriptor.Platform)
	}
	i.Warnings, i.Args = slices.Clone(i.Warnings), maps.Clone(i.Args)
	i.Checks = slices.Clone(i.Checks)
	return i
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// Receipt reports what was done for an [Image] and why.
type Receipt struct {
	// Builder, Fetch and Delivery are nil unless something was built.
	Builder  *buildkit.Info     `json:"builder,omitempty"`
	Fetch    *buildkit.Fetch    `json:"fetch,omitempty"`
	Delivery *buildkit.Delivery `json:"delivery,omitempty"`
	// Pushed lists the names under which the image was pushed to a registry, see [PushTo].
	Pushed []Pushed `json:"pushed,omitempty"`
	// Reason says why the request was not a hit.
	Reason string `json:"reason,omitempty"`
	// Ignored reports whether the repository's .dockerignore was applied to the build context.
	Ignored bool `json:"dockerignore,omitempty"`
	// Args are the build arguments that the image was built with, by name.
	Args map[string]string `json:"args,omitempty"`
	// Prewarmed reports whether the build began before a caller waited for the image.
	Prewarmed bool `json:"prewarmed,omitempty"`
	// Shared reports whether this call joined a build or pull that another call had begun.
	Shared bool `json:"shared,omitempty"`
	// Cache describes the saved build caches that the builder was offered; nil if there were none.
	Cache *CacheReceipt `json:"cache,omitempty"`
	// SupersededBy is the branch's head if it moved while Revision was being built.
	SupersededBy git.Revision `json:"superseded_by,omitzero"`
	// Checks are what BuildKit remarked on the Dockerfile when the image was built, also on a hit.
	Checks []BuildCheck `json:"checks,omitempty"`
	// Warnings are the problems that did not stop the work. After a build they have the first of
	// Checks too, each in one line; on a hit only those about the platform of a base image.
	Warnings  []string  `json:"warnings,omitempty"`
	Durations Durations `json:"durations_ms"`
}

// Durations are wall-clock times in milliseconds. A step that was not taken is left out.
type Durations struct {
	Resolve int64 `json:"resolve"`
	Lookup  int64 `json:"lookup,omitempty"`
	Fetch   int64 `json:"fetch,omitempty"`
	Solve   int64 `json:"solve,omitempty"`
	Deliver int64 `json:"deliver,omitempty"`
	Pull    int64 `json:"pull,omitempty"`
	Push    int64 `json:"push,omitempty"`
	Total   int64 `json:"total"`
}

func ms(d time.Duration) int64 { return d.Milliseconds() }

// CacheReceipt says which saved caches a builder was offered.
type CacheReceipt struct {
	// From is "local" or "registry".
	From string `json:"from"`
	// Imported are the commits, or for a registry the references, in the order in which BuildKit
	// asks for them.
	Imported []string `json:"imported"`
}

// Pushed is a name in a registry and the digest of the manifest that it stands for there.
type Pushed struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
}

// resolution returns the event that says what a request is about.
func (w work) resolution() Event {
	e := Event{Type: EventResolved, Name: w.template.Name, Reference: w.recipe.Reference(),
		Pinned: !w.request.followsHead(), PullRequest: w.recipe.PullRequest}
	if w.tree == nil {
		e.Revision, e.Prewarmed = w.recipe.Revision, w.request.prewarm
	}
	return e
}

// source names what is built, human-readable.
func (w work) source() string {
	if w.tree != nil {
		return fmt.Sprintf("the working tree %s (%s)", w.request.path, w.recipe.Short())
	}
	return fmt.Sprintf("%s#%s", w.template.Remote, w.recipe.Short())
}

// occasion says if nobody waits for the image.
func (w work) occasion() string {
	if w.request.prewarm {
		return " ahead of requests"
	}
	return ""
}

// image returns the image that a record describes.
func (w work) image(outcome Outcome, rec cache.Record) Image {
	img := Image{
		Schema: schemaVersion, Name: w.template.Name, Mode: resolver.ModeLocalBuild,
		Outcome: outcome, Reference: w.recipe.Reference(), ID: rec.ImageID,
		PullRequest: w.recipe.PullRequest,
		Revision:    w.recipe.Revision, Repository: w.recipe.Repository, Tree: w.recipe.Tree,
		Platform: w.recipe.Platform, ConfigDigest: rec.ConfigDigest,
		ManifestDigest: rec.ManifestDigest, Descriptor: copyOf(rec.Descriptor),
		Receipt: Receipt{Args: maps.Clone(rec.Args), Prewarmed: rec.Prewarmed,
			Durations: w.times},
	}
	for _, c := range rec.Checks {
		img.Checks = append(img.Checks, BuildCheck(c))
	}
	if outcome == OutcomeHit {
		img.Warnings = lastingWarnings(img.Checks)
	}
	if w.tree != nil {
		img.Repository = "" // the tree may be of none
	}
	return img
}

// receipt returns the image that was built, with what the builder reported.
func (w work) receipt(
	rec cache.Record, res buildkit.Result, by buildkit.Info, offer *buildcache.Offer,
) Image {
	img := w.image(OutcomeBuilt, rec)
	img.Builder, img.Fetch, img.Delivery = &by, &res.Fetch, &res.Delivery
	img.Ignored = res.Ignored
	if from, imported := offer.Imported(res); len(imported) > 0 {
		img.Cache = &CacheReceipt{From: string(from), Imported: imported}
	}
	img.Durations.Fetch, img.Durations.Solve = ms(res.FetchTime), ms(res.SolveTime)
	img.Durations.Deliver = ms(res.DeliverTime)
	return img
}

// storeID returns the store's identity, "" if the store fails: the image is there all the same.
func storeID(ctx context.Context, store *imagestore.Facts) string {
	// A folder has none before its first image, so what is known is asked again.
	info, err := store.Store.Info(ctx)
	if err != nil {
		return ""
	}
	return info.ID
}

// BuildCheck is what BuildKit remarks on a Dockerfile without failing: a rule of `docker build
// --check`, with its place.
type BuildCheck = buildkit.Check

// maxCheckWarnings is how many checks are among the warnings of an image, for people.
const maxCheckWarnings = 10

// checkWarnings returns the first checks as warnings, and how many there are besides.
func checkWarnings(checks []BuildCheck) (warnings []string) {
	for i, c := range checks {
		if i == maxCheckWarnings {
			return append(warnings, fmt.Sprintf("and %d more remarks on the Dockerfile",
				len(checks)-i))
		}
		warnings = append(warnings, c.String())
	}
	return warnings
}

// lastingWarnings returns the warnings of a hit: the checks about what the image holds. The others
// are about the Dockerfile, and were warnings of its build.
func lastingWarnings(checks []BuildCheck) (warnings []string) {
	for _, c := range checks {
		if c.Rule == buildkit.RuleBasePlatform {
			warnings = append(warnings, c.String())
		}
	}
	return warnings
}

// recordChecks returns the checks as a record has them.
func recordChecks(checks []BuildCheck) (recs []cache.Check) {
	for _, c := range checks {
		recs = append(recs, cache.Check(c))
	}
	return recs
}

// Built is an image that Pinion built and that is still in the image store.
type Built struct {
	Name      string `json:"name"`
	Reference string `json:"reference"`
	ImageID   string `json:"image_id"`
	// Revision is the commit, or empty; then Tree is a working tree's digest.
	Revision string `json:"revision"`
	Tree     string `json:"tree,omitempty"`
	// PullRequest is the number of the pull request that the image is of; 0 for a branch.
	PullRequest int    `json:"pull_request,omitempty"`
	Platform    string `json:"platform"`
	// Size in bytes, as the store counts.
	Size    int64     `json:"size"`
	BuiltAt time.Time `json:"built_at"`
}

// List returns the images that Pinion built into the current image store, newest first. Records
// whose image is gone, or whose name now means another image, are left out, and so are images that
// the store cannot describe, with a warning in the log. A failure is an [*Error].
func (o *Orchestrator) List(ctx context.Context) ([]Built, error) {
	at, err := o.retention()
	if err != nil {
		return nil, fail(ctx, "", err)
	}
	images, unreadable, err := retention.List(ctx, at)
	if err != nil {
		return nil, fail(ctx, "", err)
	}
	for _, err := range unreadable {
		o.log.Warn(fmt.Sprintf("not listed: %v", err))
	}
	var list []Built
	for _, img := range images {
		list = append(list, builtOf(img))
	}
	return list, nil
}

func builtOf(img retention.Image) Built {
	return Built{Name: img.Name, Reference: img.Reference, ImageID: img.ID,
		Revision: img.Revision, Tree: img.Tree, PullRequest: img.PullRequest,
		Platform: img.Platform, Size: img.Size,
		BuiltAt: img.BuiltAt}
}
