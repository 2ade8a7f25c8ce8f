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

// optCacheImports is the frontend option in which the client hands its imports to whoever solves in
// the Build, as JSON, and which the Dockerfile frontend reads (frontend/dockerui, keyCacheImports).
const optCacheImports = "cache-imports"

// cloneEntries is for the client, which writes into the attributes.
func cloneEntries(entries []CacheEntry) (clone []CacheEntry) {
	for _, e := range entries {
		clone = append(clone, CacheEntry{Type: e.Type, Attrs: maps.Clone(e.Attrs)})
	}
	return clone
}

// isImport says that a vertex is the reading of a cache's manifest, whose failure is none of the
// build's. BuildKit tells it by the name alone (solver/llbsolver/bridge.go).
func isImport(v *client.Vertex) bool {
	return strings.HasPrefix(v.Name, "importing cache manifest from ")
}

// mayBlameImports says that a solve may have failed because a blob that an import promised could
// not be had. BuildKit has no type for that error, so this tells by what it is not: a failure of
// the fetch, of a command, or of the delivery; a builder that has gone; or a Dockerfile that is
// wrong by itself. At worst a build that cannot succeed is tried twice, and its commands come from
// the cache then.
func (s *solve) mayBlameImports(ctx context.Context, err error) bool {
	if len(s.req.CacheImports) == 0 || s.failed != nil || s.fetched.IsZero() || !s.solved.IsZero() {
		return false
	}
	if _, ok := errors.AsType[*gatewaypb.ExitError](err); ok ||
		strings.Contains(err.Error(), ": exit code: ") {
		return false
	}
	return !connectionLost(err) && !s.isDockerfiles(err) && s.builder.alive(ctx) == nil
}

// isDockerfiles says that an error is the Dockerfile's own: the frontend could make no steps of it,
// or a step names a file that the commit does not have. No import has a part in either.
func (s *solve) isDockerfiles(err error) bool {
	if _, inStep := errors.AsType[*errdefs.VertexError](err); !inStep {
		return len(errdefs.Sources(err)) > 0
	}
	failed, ok := errors.AsType[*errdefs.SolveError](err)
	if !ok {
		return false
	}
	of := failed.GetCache()
	inputs, i := failed.GetOp().GetInputs(), of.GetIndex()
	return of != nil && i >= 0 && i < int64(len(inputs)) &&
		digest.Digest(inputs[i].GetDigest()) == s.source
}

// headOf is the vertex that a state ends in; empty if that cannot be told.
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

// graphOf is what a frontend made of its Dockerfile, or nil: without it only the cache cannot be
// saved.
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
		// Where steps had to run again, they have, and saving what they made must not run them once
		// more.
		m.IgnoreCache = false
	}
	return graph
}
