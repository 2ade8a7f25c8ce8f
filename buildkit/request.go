package buildkit

import (
	"path"
	"strings"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Request says what to build. It comes from the operator's catalogue and the look-up of the commit.
type Request struct {
	Remote   git.Remote
	Revision git.Revision
	// Tree is built instead of a commit if it is not nil. Remote, Revision and Token are not used
	// then, and Subdir, Dockerfile and AllowedFrontends must be those that [ReadTree] got.
	Tree *Tree

	// Subdir is the context's folder in the repository; empty means the root.
	Subdir string
	// Dockerfile is the Dockerfile's path below Subdir, or with a "/" in front below the root.
	Dockerfile string
	// AllowBasePlatform allows a base image of another platform than Platform. By default it is
	// refused: the image's config would have a platform that its programs are not for.
	AllowBasePlatform bool
	// Submodules are the hosts, or host/path, whose repositories may be submodules; with none,
	// submodules are left out. AskSubmodule is asked for each; with nil, no credential is shown.
	Submodules   []string
	AskSubmodule AskSubmodule
	// LFS fetches the files that the context has in Git LFS, those of submodules included; with
	// nil their pointers are left in it. A Tree has what it has.
	LFS LFS
	// KeepGitDir leaves the repository's .git in the context; a Tree never has it.
	KeepGitDir bool
	// Target is the stage to build; empty means the last one.
	Target string
	// Platform is the one platform to build for.
	Platform ocispecs.Platform
	// Args are the rules for build arguments. A rule that names a file reads it from the fetched
	// tree. OnArgs is called with the values once they are known; it may be nil.
	Args   []arg.Rule
	OnArgs func([]arg.Value)
	// Labels are put on the image's config.
	Labels map[string]string
	// Provenance requests an attestation of that mode; empty means none. The exported image is an
	// index with one.
	Provenance Provenance
	// Reference names the image inside the store until the caller has verified it.
	Reference string
	// Name is the build's name in the builder's history; empty means none.
	Name string

	// Token is the credential for Remote's host; empty for none. If it goes with a user name,
	// AuthHeader is the value of the Authorization header with both, and is sent in its place.
	Token, AuthHeader string
	// Hidden are further secrets that no text of the build may have.
	Hidden []string
	// Anonymous withholds the registry credentials and the proxies with a password from a build
	// whose author may read neither.
	Anonymous bool
	// CacheScope keeps apart what the steps of builds leave at the builder, since who writes to a
	// cache mount decides what others find there: cache mounts, and with them the results of steps.
	// It is a host's name of one label; empty means that all builds share them.
	CacheScope string
	// AllowedFrontends are image names (without tag) that `# syntax=` may name besides
	// docker/dockerfile.
	AllowedFrontends []string
	// NoCache runs every step again. Pull resolves the images in FROM at their registries again.
	NoCache, Pull bool
	// CacheImports are caches that BuildKit may use besides its own. A missing one is no error. If
	// one proves broken during the build, the build runs again without them.
	CacheImports []CacheEntry

	// StallAfter is how long a build may make no progress before it is cancelled with [ErrStalled];
	// 0 means no limit.
	StallAfter time.Duration
	// Timeout is how long a build may take, from the fetch to the delivery and in all attempts,
	// before it is cancelled with [ErrTimeLimit]; 0 means no limit.
	Timeout time.Duration

	// OnCheck is called for each of BuildKit's remarks on the Dockerfile, once and before Solve
	// returns, by one goroutine at a time. At most 51 come. It may be nil.
	OnCheck func(Check)
	// Progress receives BuildKit's statuses, without control characters and secrets; it may be nil.
	// It is called by one goroutine at a time, and all calls end before Solve returns. If it blocks
	// for long, the steps go on, and it misses lines. If it blocks for 10 seconds after the build,
	// Solve returns before it does, and does not call it again. [Steps] derives steps from the
	// statuses.
	Progress func(*client.SolveStatus)
}

// dockerfile returns the Dockerfile's path below the root.
func (r Request) dockerfile() string {
	if below, ok := strings.CutPrefix(r.Dockerfile, "/"); ok {
		return below
	}
	return path.Join(r.Subdir, r.Dockerfile)
}

// filename returns the Dockerfile's path as it is shown.
func (r Request) filename() string { return strings.TrimPrefix(r.Dockerfile, "/") }

// Result is what the builder reports about the image that it delivered. The caller must verify the
// image in the store.
type Result struct {
	// ConfigDigest and ManifestDigest are the digests that the exporter reported; at least one is
	// set. Docker Engine 20.10 reports only the config's, under the manifest's name.
	ConfigDigest, ManifestDigest string
	// Descriptor is that of the manifest, or of the index for an image with attestations. It is nil
	// if the builder reported none, as for an export into an engine's classic store.
	Descriptor *ocispecs.Descriptor
	// Ref identifies the Build in the builder's history.
	Ref      string
	Fetch    Fetch
	Delivery Delivery
	// Warnings are sentences about the tree that do not stop the build.
	Warnings []string
	// Ignored reports whether a .dockerignore was applied to the context.
	Ignored bool
	// Args are the build arguments, sorted by name.
	Args []arg.Value
	// Graph is the solved build graph, for [Builder.SaveCache]; nil if the builder does not give
	// it.
	Graph *pb.Definition
	// ImportFailed is why the build ran again without CacheImports; nil if it did not.
	ImportFailed error
	// FetchTime is the duration of the fetch and the inspection, SolveTime that of the frontend's
	// solve, and DeliverTime that of the export into the sink.
	FetchTime, SolveTime, DeliverTime time.Duration
}

// ArgValues returns the values of the build arguments by name, nil if there are none.
func (r Result) ArgValues() map[string]string { return argValues(r.Args) }

// Strategy names how the commit was fetched.
type Strategy string

const (
	// StrategyCommit fetches the single commit at depth 1 (BuildKit 0.30 and later).
	StrategyCommit Strategy = "commit"
	// StrategySHA fetches the repository's refs and checks out the commit.
	StrategySHA Strategy = "sha"
	// StrategyLocal uploads a working tree from this machine.
	StrategyLocal Strategy = "local"
)

// Fetch says how the commit came to the builder.
type Fetch struct {
	Strategy Strategy `json:"strategy"`
}

// Method names how the image came into the store.
type Method string

const (
	// MethodMoby is the Docker engine's own exporter; no byte passes through this process.
	MethodMoby Method = "moby"
	// MethodDelta streams only the layers that the store lacks.
	MethodDelta Method = "delta"
	// MethodFull streams all layers into the store.
	MethodFull Method = "full"
	// MethodOCI writes only the layers that an OCI layout lacks.
	MethodOCI Method = "oci"
)

// Via names how layers that passed through this process came into the store.
type Via string

const (
	// ViaLoad streams them into the engine in one archive.
	ViaLoad Via = "load"
	// ViaPull lets the engine pull them from this process, several at a time.
	ViaPull Via = "pull"
)

// Delivery says how the image came into the store.
type Delivery struct {
	Method Method `json:"method"`
	// Via is empty if no layer passed.
	Via Via `json:"via,omitempty"`
	// Bytes that passed through this process.
	Bytes        int64 `json:"bytes"`
	LayersSent   int   `json:"layers_sent"`
	LayersReused int   `json:"layers_reused"`
	// Reason is why a faster method was not used or failed; empty otherwise.
	Reason string `json:"reason,omitempty"`
}
