package buildkit

import (
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Request says what to build. All of it comes from the operator's catalogue and from the look-up;
// nothing in it is a build argument, and there is no way to pass one.
type Request struct {
	Remote   git.Remote
	Revision git.Revision
	// Tree is built instead of a commit, if it is not nil: Remote, Revision and Token are not used,
	// and Subdir, Dockerfile and AllowedFrontends were settled by [ReadTree].
	Tree *Tree

	// Subdir is the context's folder inside the repository; empty means its root.
	Subdir string
	// Dockerfile is the Dockerfile's path below Subdir.
	Dockerfile string
	// Target is the stage to build; empty means the last one.
	Target string
	// Platform is the one platform to build for.
	Platform ocispecs.Platform
	// Labels are put on the image's config.
	Labels map[string]string
	// Provenance has the builder attach a statement of that kind; empty means none. The image is an
	// index then.
	Provenance Provenance
	// Reference names the image inside the store until the caller has verified it.
	Reference string
	// Name is what the builder's history calls the build; empty leaves that to who shows it.
	Name string

	// Token is the credential for Remote's host; empty for none.
	Token string
	// AllowedFrontends are image names (without tag) that `# syntax=` may name besides
	// docker/dockerfile.
	AllowedFrontends []string
	// NoCache runs every step again. Pull asks the registries again for the images in FROM.
	NoCache, Pull bool
	// CacheImports are offered to BuildKit besides what it has. One that cannot be had is no error;
	// if one turns out to be broken in the middle of the build, the build is done again without
	// them.
	CacheImports []CacheEntry

	// StallAfter is how long nothing may move before the build is cancelled, see [ErrStalled]; 0
	// means no limit.
	StallAfter time.Duration

	// Progress receives what BuildKit tells, already harmless to print; nil means nobody listens.
	// It is called from one goroutine and must not block for long.
	Progress func(*client.SolveStatus)
}

// Result is what the builder reports about the image it handed over. The caller verifies it in the
// store.
type Result struct {
	// ConfigDigest and ManifestDigest are what the exporter reported; at least one is set. Docker
	// Engine 20.10 reports only one digest, the config's, under the manifest's name.
	ConfigDigest, ManifestDigest string
	// Descriptor is the manifest's, or the index's for an image with attestations, as the builder
	// reported it; nil if it did not, as where it exports into an engine's classic store.
	Descriptor *ocispecs.Descriptor
	// Ref is what the builder's history calls the Build.
	Ref      string
	Fetch    Fetch
	Delivery Delivery
	// Warnings are findings in the fetched tree that do not stop the build, in plain words.
	Warnings []string
	// Ignored says that the repository's .dockerignore was applied to the context.
	Ignored bool
	// Graph is what was solved, for [Builder.SaveCache]; nil where the builder does not tell it.
	Graph *pb.Definition
	// ImportFailed is why the build was done again without CacheImports; nil if it was not.
	ImportFailed error
	// FetchTime is how long the fetch and the inspection took, SolveTime the frontend's solve,
	// DeliverTime the export into the sink.
	FetchTime, SolveTime, DeliverTime time.Duration
}

// Strategy names how the commit was fetched.
type Strategy string

const (
	// StrategyCommit fetches that one commit at depth 1 (BuildKit 0.30 and later).
	StrategyCommit Strategy = "commit"
	// StrategySHA fetches the repository's refs and checks the commit out of them.
	StrategySHA Strategy = "sha"
	// StrategyLocal takes a working tree from the machine that Pinion runs on.
	StrategyLocal Strategy = "local"
)

// Fetch tells how the commit came to the builder.
type Fetch struct {
	Strategy Strategy `json:"strategy"`
}

// Method names how the image came into the store.
type Method string

const (
	// MethodMoby is the Docker engine's own exporter: no byte passes through the client.
	MethodMoby Method = "moby"
	// MethodDelta streams only the layers that the store lacks, none at all if it has the image.
	MethodDelta Method = "delta"
	// MethodFull streams all layers into the store.
	MethodFull Method = "full"
	// MethodOCI writes only the layers that an OCI layout folder lacks.
	MethodOCI Method = "oci"
)

// Via names how layers that passed through this process came into the store.
type Via string

const (
	// ViaLoad streams them into the engine, in one archive.
	ViaLoad Via = "load"
	// ViaPull has the engine fetch them from this process, several at a time.
	ViaPull Via = "pull"
)

// Delivery tells how the image came into the store.
type Delivery struct {
	Method Method `json:"method"`
	// Via is empty if no layer had to pass.
	Via Via `json:"via,omitempty"`
	// Bytes that passed through this process.
	Bytes        int64 `json:"bytes"`
	LayersSent   int   `json:"layers_sent"`
	LayersReused int   `json:"layers_reused"`
	// Reason says why a faster method was not taken or did not work; empty if it did.
	Reason string `json:"reason,omitempty"`
}
