package builder

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

// nodePatience bounds the wait for the other nodes once one node that can build has answered. A
// login over SSH takes less.
const nodePatience = 3 * time.Second

type dialFunc func(context.Context, buildx.Node) (Builder, error)

// pickNode connects to the node for the platform: the one that was set up for it, otherwise the
// first that has it natively, otherwise the first that emulates it, with a remark, otherwise the
// first: it may not have to run anything of the platform.
//
// All nodes are asked at once. A node that has the platform natively does not wait for the nodes
// behind it, and waits nodePatience for those before it; a node that failed or is silent is passed
// over, with a remark. Emulation waits for all, since a silent node may be the native one.
func pickNode(
	ctx context.Context, nodes []buildx.Node, platform string, dial dialFunc,
) (Connection, error) {
	if platform == "" {
		b, err := dial(ctx, nodes[0])
		return Connection{Builder: b}, err
	}
	p, err := resolver.ParsePlatform(platform)
	if err != nil {
		return Connection{}, err
	}
	if i := slices.IndexFunc(nodes, isSetUpFor(p)); i >= 0 {
		nodes = nodes[i : i+1]
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the dials that nothing waits for any more
	replies := make(chan reply, len(nodes))
	for i, n := range nodes {
		go func() {
			b, err := dial(ctx, n)
			replies <- reply{i, b, err}
		}()
	}
	poll := newPoll(nodes, p)
	poll.collect(replies)
	best, remarks, err := poll.best()
	poll.closeOthers(best, replies)
	if err != nil {
		return Connection{}, err
	}
	return Connection{poll.nodes[best].builder, remarks}, nil
}

// isSetUpFor reports whether a node was set up for the platform.
func isSetUpFor(p ocispecs.Platform) func(buildx.Node) bool {
	match := platforms.OnlyStrict(p).Match
	return func(n buildx.Node) bool { return slices.ContainsFunc(n.Platforms, match) }
}

// reply is one node's answer to a dial. index is the node's place in the builder.
type reply struct {
	index   int
	builder Builder
	err     error
}

// poll collects the nodes' replies, in the order of the nodes.
type poll struct {
	platform ocispecs.Platform
	nodes    []nodeState
	pending  int // nodes without a reply
}

// nodeState has neither a builder nor an error until the node has replied.
type nodeState struct {
	name    string
	builder Builder
	err     error
}

func newPoll(nodes []buildx.Node, p ocispecs.Platform) *poll {
	q := &poll{platform: p, pending: len(nodes)}
	for _, n := range nodes {
		q.nodes = append(q.nodes, nodeState{name: n.Name})
	}
	return q
}

// collect returns when the best node is known, at the latest when all nodes have replied.
func (q *poll) collect(replies <-chan reply) {
	var patience <-chan time.Time
	for !q.isDecided() {
		select {
		case r := <-replies:
			q.pending--
			q.nodes[r.index].builder, q.nodes[r.index].err = r.builder, r.err
			if patience == nil && q.firstNative() >= 0 {
				patience = time.After(nodePatience)
			}
		case <-patience:
			q.failSilent()
		}
	}
}

// isDecided reports whether no further reply changes the choice.
func (q *poll) isDecided() bool {
	i := q.firstNative()
	return q.pending == 0 || i >= 0 && !slices.ContainsFunc(q.nodes[:i], nodeState.isSilent)
}

func (n nodeState) isSilent() bool { return n.builder == nil && n.err == nil }

// failSilent gives the silent nodes an error. closeOthers ends the connections that come later.
func (q *poll) failSilent() {
	for i, n := range q.nodes {
		if n.isSilent() {
			q.nodes[i].err = fmt.Errorf("node %s: no answer within %s of another node's",
				n.name, nodePatience)
		}
	}
}

// firstNative returns the index of the first node that has the platform natively, -1 if none has
// replied.
func (q *poll) firstNative() int {
	return slices.IndexFunc(q.nodes, func(n nodeState) bool {
		return n.err == nil && n.builder != nil &&
			platforms.Only(n.builder.Native()).Match(q.platform)
	})
}

// best returns the index of the node to use, or -1 and an error.
func (q *poll) best() (best int, remarks []string, err error) {
	if best = q.firstNative(); best >= 0 {
		for _, n := range q.nodes[:best] {
			if n.err != nil {
				remarks = append(remarks,
					fmt.Sprintf("a node of the builder was passed over: %v", n.err))
			}
		}
		return best, remarks, nil
	}
	var failures []error
	for _, n := range q.nodes {
		if n.err != nil {
			failures = append(failures, n.err)
		}
	}
	if len(failures) > 0 {
		return -1, nil, errors.Join(failures...)
	}
	best = slices.IndexFunc(q.nodes, func(n nodeState) bool {
		return n.builder.RequirePlatform(q.platform) == nil
	})
	if best < 0 {
		return 0, nil, nil
	}
	b := q.nodes[best].builder
	return best, []string{fmt.Sprintf("%s is emulated by builder %s, which is slow: it runs on %s",
		platforms.Format(q.platform), b.Info().Endpoint, platforms.Format(b.Native()))}, nil
}

// closeOthers ends all connections but the best node's, including those that come later.
func (q *poll) closeOthers(best int, replies <-chan reply) {
	for i, n := range q.nodes {
		if i != best && n.err == nil && n.builder != nil {
			_ = n.builder.Close()
		}
	}
	go func() {
		for range q.pending {
			if late := <-replies; late.err == nil {
				_ = late.builder.Close()
			}
		}
	}()
}
