package pinion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
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

// nodePatience is how long a node has to answer once another has that will do. A login over SSH
// takes less.
const nodePatience = 3 * time.Second

// pickNode connects to the node for the platform: the one that was set up for it; else one that has
// it natively, the first of them; else one that emulates it, with a remark. All nodes are asked at
// once. A node that has the platform natively is not kept waiting for those behind it, nor for long
// for those before it: one that has failed or is silent is passed over, with a remark. For
// emulation it is not, since it may be the native one.
func pickNode(ctx context.Context, nodes []buildx.Node, platform string,
	dial func(context.Context, buildx.Node) (solver, error)) (solver, error) {
	if platform == "" {
		return dial(ctx, nodes[0])
	}
	p, err := resolver.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(nodes, func(n buildx.Node) bool {
		return slices.ContainsFunc(n.Platforms, platforms.OnlyStrict(p).Match)
	}); i >= 0 {
		nodes = nodes[i : i+1]
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // those that nobody waits for any more
	answers := make(chan answer, len(nodes))
	for i, n := range nodes {
		go func() {
			s, err := dial(ctx, n)
			answers <- answer{i, s, err}
		}()
	}
	asked := newAsked(nodes, p)
	asked.listen(answers)
	best, remarks, err := asked.best()
	asked.closeBut(best, answers)
	if err != nil {
		return nil, err
	}
	return remarked{asked.nodes[best].solver, remarks}, nil
}

// answer is what the node at a place came to.
type answer struct {
	at     int
	solver solver
	err    error
}

// asked are the nodes' answers so far, in the order of the nodes.
type asked struct {
	platform ocispecs.Platform
	nodes    []askedNode
	// pending counts those that have not answered.
	pending int
}

// askedNode has neither a solver nor an error until it has answered.
type askedNode struct {
	name   string
	solver solver
	err    error
}

func newAsked(nodes []buildx.Node, p ocispecs.Platform) *asked {
	a := &asked{platform: p, pending: len(nodes)}
	for _, n := range nodes {
		a.nodes = append(a.nodes, askedNode{name: n.Name})
	}
	return a
}

// listen returns as soon as the best node is known, at the latest when all have answered: each does
// in time.
func (a *asked) listen(answers <-chan answer) {
	var enough <-chan time.Time
	for !a.settled() {
		select {
		case got := <-answers:
			a.pending--
			a.nodes[got.at].solver, a.nodes[got.at].err = got.solver, got.err
			if enough == nil && a.native() >= 0 {
				enough = time.After(nodePatience)
			}
		case <-enough:
			a.giveUp()
		}
	}
}

// settled says that nothing which may still be heard changes the choice.
func (a *asked) settled() bool {
	i := a.native()
	return a.pending == 0 || i >= 0 && !slices.ContainsFunc(a.nodes[:i], askedNode.silent)
}

func (n askedNode) silent() bool { return n.solver == nil && n.err == nil }

// giveUp takes silence for an answer. What such a node says later is for closeBut.
func (a *asked) giveUp() {
	for i, n := range a.nodes {
		if n.silent() {
			a.nodes[i].err = fmt.Errorf("node %s: no answer within %s of another node's", n.name,
				nodePatience)
		}
	}
}

// native is the index of the first node that has the platform natively, -1 if none has answered.
func (a *asked) native() int {
	return slices.IndexFunc(a.nodes, func(n askedNode) bool {
		return n.err == nil && n.solver != nil &&
			platforms.Only(n.solver.Native()).Match(a.platform)
	})
}

// best is the index of the node to take, -1 with an error.
func (a *asked) best() (best int, remarks []string, err error) {
	if best = a.native(); best >= 0 {
		for _, n := range a.nodes[:best] {
			if n.err != nil {
				remarks = append(remarks,
					fmt.Sprintf("a node of the builder was passed over: %v", n.err))
			}
		}
		return best, remarks, nil
	}
	var failed []error
	for _, n := range a.nodes {
		if n.err != nil {
			failed = append(failed, n.err)
		}
	}
	if len(failed) > 0 {
		return -1, nil, errors.Join(failed...)
	}
	best = slices.IndexFunc(a.nodes, func(n askedNode) bool {
		return n.solver.RequirePlatform(a.platform) == nil
	})
	if best < 0 {
		return -1, nil, a.nodes[0].solver.RequirePlatform(a.platform)
	}
	b := a.nodes[best].solver
	return best, []string{fmt.Sprintf("%s is emulated by builder %s, which is slow: it runs on %s",
		platforms.Format(a.platform), b.Info().Endpoint, platforms.Format(b.Native()))}, nil
}

// closeBut ends the connections that were only for the question, those too that come yet.
func (a *asked) closeBut(best int, answers <-chan answer) {
	for i, n := range a.nodes {
		if i != best && n.err == nil && n.solver != nil {
			_ = n.solver.Close()
		}
	}
	go func() {
		for range a.pending {
			if late := <-answers; late.err == nil {
				_ = late.solver.Close()
			}
		}
	}()
}
