package pinion

import (
	"maps"
	"slices"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
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
)

// schemaVersion is the version of the JSON form of an [Image].
const schemaVersion = 1

// Image is an image in the local store and how it got there. Its JSON form is the output of
// `pinion ensure --format json`.
type Image struct {
	Schema  int           `json:"schema"`
	Name    string        `json:"name"`
	Mode    resolver.Mode `json:"mode"`
	Outcome Outcome       `json:"outcome"`
	// Reference names the image in the store; whoever may use the store can move it.
	Reference string `json:"reference"`
	// ID is the image's content address as the store gives it: the config's digest on Docker's
	// classic store, the manifest's on the containerd store and in a folder, the index's there for
	// an image with attestations. Create containers from it.
	ID string `json:"image_id"`
	// Revision is the commit built; zero in registry mode and for a working tree.
	Revision git.Revision `json:"revision,omitzero"`
	// Repository is the template's repository as people write it; empty where there is no Revision.
	Repository string `json:"repository,omitempty"`
	// Tree is the digest of the working tree that was built ([AtPath]), "sha256:<hex>", else empty:
	// of the Dockerfile and of paths, modes, links and contents after .dockerignore. Reference ends
	// in its first 12 digits.
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

// clone is for one of several callers who share a result.
func (i Image) clone() Image {
	i.Builder, i.Fetch, i.Delivery = copied(i.Builder), copied(i.Fetch), copied(i.Delivery)
	i.Cache, i.Descriptor = copied(i.Cache), copied(i.Descriptor)
	if i.Descriptor != nil {
		i.Descriptor.Annotations = maps.Clone(i.Descriptor.Annotations)
		i.Descriptor.Platform = copied(i.Descriptor.Platform)
	}
	i.Warnings = slices.Clone(i.Warnings)
	return i
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// Receipt tells what was done for an [Image] and why.
type Receipt struct {
	// Builder, Fetch and Delivery are nil unless something was built.
	Builder  *buildkit.Info     `json:"builder,omitempty"`
	Fetch    *buildkit.Fetch    `json:"fetch,omitempty"`
	Delivery *buildkit.Delivery `json:"delivery,omitempty"`
	// Pushed lists the names in a registry that the image has been given, see [PushTo].
	Pushed []Pushed `json:"pushed,omitempty"`
	// Reason says why it was not a hit.
	Reason string `json:"reason,omitempty"`
	// Ignored says that the repository's .dockerignore was applied to the build context.
	Ignored bool `json:"dockerignore,omitempty"`
	// Prewarmed says that the image was built before anybody waited for it.
	Prewarmed bool `json:"prewarmed,omitempty"`
	// Cache tells of the saved build caches that the builder was offered; nil if there were none.
	Cache *CacheReceipt `json:"cache,omitempty"`
	// SupersededBy is the branch's head if it moved while Revision was being built.
	SupersededBy git.Revision `json:"superseded_by,omitzero"`
	// Warnings are things that did not stop the work and that somebody should know.
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
