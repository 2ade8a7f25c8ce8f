package buildkit

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// CacheEntry is a cache to import from or to export to, in BuildKit's own terms.
type CacheEntry = client.CacheOptionsEntry

// optCacheImports is the frontend option that carries the cache imports as JSON. The client sets it
// for the Build, and the Dockerfile frontend reads it (frontend/dockerui, keyCacheImports).
const optCacheImports = "cache-imports"

// cloneEntries copies entries for the client, which writes into the attributes.
func cloneEntries(entries []CacheEntry) (clone []CacheEntry) {
	for _, e := range entries {
		clone = append(clone, CacheEntry{Type: e.Type, Attrs: maps.Clone(e.Attrs)})
	}
	return clone
}

// isImport reports whether a vertex reads a cache's manifest. Its failure does not fail the build.
// BuildKit marks it only by its name (solver/llbsolver/bridge.go).
func isImport(v *client.Vertex) bool {
	return strings.HasPrefix(v.Name, "importing cache manifest from ")
}

// mayBlameImports reports whether a solve may have failed because a blob that an import lists is
// missing. BuildKit has no type for that error, so this function excludes the other causes: the
// fetch, a command, the delivery, a builder that is gone, and the Dockerfile itself. At worst a
// build that cannot succeed runs twice, the second time with its commands in the cache.
func (s *solve) mayBlameImports(ctx context.Context, err error) bool {
	if len(s.imports()) == 0 || s.failed != nil || s.fetched.IsZero() || !s.solved.IsZero() {
		return false
	}
	if _, ok := errors.AsType[*gatewaypb.ExitError](err); ok ||
		strings.Contains(err.Error(), ": exit code: ") {
		return false
	}
	return !connectionLost(err) && !s.isDockerfileError(err) && s.builder.alive(ctx) == nil
}

// isDockerfileError reports whether an error comes from the Dockerfile itself: the frontend could
// not read it, or a step names a file that the commit does not have.
func (s *solve) isDockerfileError(err error) bool {
	if _, inStep := errors.AsType[*errdefs.VertexError](err); !inStep {
		return len(errdefs.Sources(err)) > 0
	}
	failed, ok := errors.AsType[*errdefs.SolveError](err)
	if !ok {
		return false
	}
	subject := failed.GetCache()
	inputs, i := failed.GetOp().GetInputs(), subject.GetIndex()
	return subject != nil && i >= 0 && i < int64(len(inputs)) &&
		digest.Digest(inputs[i].GetDigest()) == s.source
}

// headOf returns the vertex that a state ends in, or "" if it cannot be determined.
func headOf(ctx context.Context, c gateway.Client, st llb.State) digest.Digest {
	def, err := st.Marshal(ctx, llb.WithCaps(c.BuildOpts().LLBCaps))
	if err != nil {
		return ""
	}
	head, err := def.Head()
	if err != nil {
		return ""
	}
	return head
}

// graphOf returns the build graph that the frontend made of its Dockerfile, or nil if the
// builder does not give it out.
func graphOf(ctx context.Context, c gateway.Client, res *gateway.Result) *pb.Definition {
	ref, err := res.SingleRef()
	if err != nil || ref == nil {
		return nil
	}
	st, err := ref.ToState()
	if err != nil {
		return nil
	}
	def, err := st.Marshal(ctx, llb.WithCaps(c.BuildOpts().LLBCaps))
	if err != nil {
		return nil
	}
	graph := def.ToPB()
	for _, m := range graph.Metadata {
		// The steps that ignore the cache have run. They must not run again to save the cache.
		m.IgnoreCache = false
	}
	return graph
}
