package pinion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
)

// remarked is a builder with something to tell of how it was picked.
type remarked struct {
	solver
	remarks []string
}

func remarks(b solver) []string {
	if r, ok := b.(remarked); ok {
		return r.remarks
	}
	return nil
}

// pickNode connects to the node for the platform: the one that was set up for it; else one that has it natively; else
// one that emulates it, with a remark. All nodes are asked at once. One that does not answer is passed over, with a
// remark, for one that has the platform natively; for emulation it is not, since it may be the native one.
func pickNode(ctx context.Context, nodes []buildx.Node, platform string, dial func(context.Context, buildx.Node) (solver, error)) (solver, error) {
	if platform == "" {
		return dial(ctx, nodes[0])
	}
	p, err := parsePlatform(platform)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(nodes, func(n buildx.Node) bool { return slices.ContainsFunc(n.Platforms, platforms.OnlyStrict(p).Match) }); i >= 0 {
		nodes = nodes[i : i+1]
	}
	asked := make(asked, len(nodes))
	var asking sync.WaitGroup
	for i, n := range nodes {
		asking.Go(func() { asked[i].solver, asked[i].err = dial(ctx, n) })
	}
	asking.Wait()
	best, remarks, err := asked.best(p)
	asked.closeBut(best)
	if err != nil {
		return nil, err
	}
	return remarked{asked[best].solver, remarks}, nil
}

// asked are the nodes' answers, in their order.
type asked []struct {
	solver solver
	err    error
}

// best is the index of the node to take, -1 with an error.
func (a asked) best(p ocispecs.Platform) (best int, remarks []string, err error) {
	best = -1
	var silent []error
	for i, n := range a {
		switch {
		case n.err != nil:
			silent = append(silent, n.err)
		case platforms.Only(n.solver.Native()).Match(p):
			if best < 0 || !platforms.Only(a[best].solver.Native()).Match(p) {
				best = i
			}
		case best < 0 && n.solver.RequirePlatform(p) == nil:
			best = i
		}
	}
	if best >= 0 && platforms.Only(a[best].solver.Native()).Match(p) {
		for _, err := range silent {
			remarks = append(remarks, fmt.Sprintf("a node of the builder was passed over: %v", err))
		}
		return best, remarks, nil
	}
	if len(silent) > 0 {
		return -1, nil, errors.Join(silent...)
	}
	if best < 0 {
		return -1, nil, a[0].solver.RequirePlatform(p)
	}
	b := a[best].solver
	return best, []string{fmt.Sprintf("%s is emulated by builder %s, which is slow: it runs on %s",
		platforms.Format(p), b.Info().Endpoint, platforms.Format(b.Native()))}, nil
}

func (a asked) closeBut(best int) {
	for i, n := range a {
		if i != best && n.err == nil {
			_ = n.solver.Close() // it was only asked
		}
	}
}
