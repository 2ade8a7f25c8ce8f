package buildkit

import (
	"context"
	"net/url"
	"slices"
	"strings"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
)

// Options of the Dockerfile frontend (BuildKit, frontend/dockerui/config.go). The first begins the
// IDs of cache mounts, and the second adds lines to the /etc/hosts of all steps.
const (
	optCacheNamespace = "build-arg:BUILDKIT_CACHE_MOUNT_NS"
	optHosts          = "add-hosts"
)

// hasUser reports whether the URL of a proxy has a user name or a password, or cannot be read.
func hasUser(proxy string) bool {
	u, err := url.Parse(proxy)
	return err != nil || u.User != nil || u.Host == "" && strings.Contains(proxy, "@")
}

// runFrontend runs the frontend, with a CacheScope so that what the steps leave at the builder
// stays in it. The namespace is for cache mounts. The result of a step has a key of its own without
// the ID of its mounts, unless that is the usual one (BuildKit, solver/llbsolver/ops/exec.go,
// checkShouldClearCacheOpts). So one that was made with what an earlier build of the scope left in
// a mount would be taken for that of another build. A host's name is a part of the keys of all
// steps, and is added if any of them has a cache mount, or if the builder does not give the graph.
// No step runs before the result is read.
func (s *solve) runFrontend(
	ctx context.Context, c gateway.Client, req gateway.SolveRequest,
) (*gateway.Result, error) {
	if s.req.CacheScope == "" {
		return c.Solve(ctx, req)
	}
	req.FrontendOpt[optCacheNamespace] = s.req.CacheScope
	res, err := c.Solve(ctx, req)
	if err != nil {
		return nil, err
	}
	if ref, err := res.SingleRef(); err != nil || ref == nil {
		return res, err
	}
	mounts, err := cacheMounts(graphOf(ctx, c, res))
	if err != nil || mounts != nil && len(mounts) == 0 {
		return res, err
	}
	req.FrontendOpt[optHosts] = s.req.CacheScope + "=127.0.0.1"
	if res, err = c.Solve(ctx, req); err != nil {
		return nil, err
	}
	if mounts, err = cacheMounts(graphOf(ctx, c, res)); err != nil {
		return nil, err
	}
	for _, m := range mounts {
		if !strings.HasPrefix(m.id, s.req.CacheScope+"/") ||
			!slices.Contains(m.hosts, s.req.CacheScope) {
			return nil, refuse("a step has a cache mount (%s) of other builds: the frontend that "+
				"# syntax= names is too old to keep it apart", m.dest)
		}
	}
	return res, nil
}

// cacheMount is a cache mount of a step, with the hosts that were added to the step.
type cacheMount struct {
	dest, id string
	hosts    []string
}

// cacheMounts returns the cache mounts of a graph, nil if there is no graph.
func cacheMounts(graph *pb.Definition) ([]cacheMount, error) {
	if graph == nil {
		return nil, nil
	}
	found := []cacheMount{}
	for _, raw := range graph.Def {
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			return nil, refuse("a step of the build cannot be read: %w", err)
		}
		var hosts []string
		for _, h := range op.GetExec().GetMeta().GetExtraHosts() {
			hosts = append(hosts, h.Host)
		}
		for _, m := range op.GetExec().GetMounts() {
			if m.MountType == pb.MountType_CACHE {
				found = append(found, cacheMount{m.Dest, m.GetCacheOpt().GetID(), hosts})
			}
		}
	}
	return found, nil
}
