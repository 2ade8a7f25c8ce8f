package builder

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
)

// fakeNode is a node with a list of platforms, its own first; without any it does not answer.
type fakeNode struct {
	Builder
	name   string
	runs   []string
	closed bool
}

func (f *fakeNode) Info() buildkit.Info {
	return buildkit.Info{Kind: buildkit.KindBuildx, Endpoint: f.name}
}
func (f *fakeNode) Native() ocispecs.Platform { return platforms.MustParse(f.runs[0]) }
func (f *fakeNode) Close() error              { f.closed = true; return nil }

func (f *fakeNode) RequirePlatform(p ocispecs.Platform) error {
	for _, have := range f.runs {
		if have == platforms.Format(p) {
			return nil
		}
	}
	return buildkit.ErrPlatform
}

func TestPickNode(t *testing.T) {
	const amd, arm = "linux/amd64", "linux/arm64"
	type node struct {
		name  string
		setup string // the platform it was set up for
		runs  []string
	}
	for _, c := range []struct {
		name     string
		platform string
		nodes    []node
		want     string // the node's name, or none
		err      error
		remark   string
	}{
		{"one", amd, []node{{"a", "", []string{amd}}}, "a", nil, ""},
		{"none asked for", "", []node{{"a", "", []string{arm}}, {"b", "", []string{amd}}}, "a", nil,
			""},
		{"native before emulated", amd, []node{{"a", "", []string{arm, amd}},
			{"b", "", []string{amd}}}, "b", nil, ""},
		{"the first of two natives", amd,
			[]node{{"a", "", []string{amd}}, {"b", "", []string{amd}}}, "a", nil, ""},
		{"emulated", amd, []node{{"a", "", []string{"linux/riscv64"}},
			{"b", "", []string{arm, amd}}}, "b", nil, "emulated by builder b"},
		{"one that emulates", amd, []node{{"a", "", []string{arm, amd}}}, "a", nil,
			"it runs on linux/arm64"},
		{"set up for it", amd, []node{{"a", arm, []string{amd}}, {"b", amd, []string{amd}}}, "b",
			nil, ""},
		{"set up for it and silent", amd, []node{{"a", "", []string{amd}}, {"b", amd, nil}}, "",
			buildkit.ErrNoBuilder, ""},
		{"silent, another native", amd, []node{{"a", "", nil}, {"b", "", []string{amd}}}, "b", nil,
			"a is silent"},
		{"silent, another emulates", amd, []node{{"a", "", nil}, {"b", "", []string{arm, amd}}}, "",
			buildkit.ErrNoBuilder, ""},
		{"all silent", amd, []node{{"a", "", nil}, {"b", "", nil}}, "", buildkit.ErrNoBuilder, ""},
		{"none can run it", amd, []node{{"a", "", []string{arm}}, {"b", "", []string{arm}}}, "a",
			nil, ""},
		{"set up for it and cannot run it", amd, []node{{"a", "", []string{arm}},
			{"b", amd, []string{arm}}}, "b", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			fakes := map[string]*fakeNode{}
			var nodes []buildx.Node
			for _, n := range c.nodes {
				fakes[n.name] = &fakeNode{name: n.name, runs: n.runs}
				added := buildx.Node{Name: n.name}
				if n.setup != "" {
					added.Platforms = []ocispecs.Platform{platforms.MustParse(n.setup)}
				}
				nodes = append(nodes, added)
			}
			got, err := pickNode(t.Context(), nodes, c.platform,
				func(_ context.Context, n buildx.Node) (Builder, error) {
					f := fakes[n.Name]
					if len(f.runs) == 0 {
						return (*fakeNode)(nil),
							&buildkit.Error{Op: "connect", Kind: buildkit.ErrNoBuilder,
								Err: errors.New(n.Name + " is silent")}
					}
					return f, nil
				})
			if !errors.Is(err, c.err) || (err == nil) != (c.want != "") {
				t.Fatalf("got %v", err)
			}
			remarks := ""
			if err == nil {
				remarks = strings.Join(got.Remarks, "\n")
				if got.Info().Endpoint != c.want || fakes[c.want].closed {
					t.Errorf("got %s, closed %t", got.Info().Endpoint, fakes[c.want].closed)
				}
			}
			if (remarks == "") != (c.remark == "") || !strings.Contains(remarks, c.remark) {
				t.Errorf("remarks %q", remarks)
			}
		})
	}
}

// A node that hangs costs a moment if it would be preferred to the one that answers, and
// nothing otherwise.
func TestNodeThatHangs(t *testing.T) {
	const amd, arm = "linux/amd64", "linux/arm64"
	type node struct {
		name string
		runs []string
		// after is when it answers; a node without platforms fails then.
		after time.Duration
		// deaf is one that does not notice when it is called off.
		deaf bool
	}
	for _, c := range []struct {
		name   string
		nodes  []node
		want   string // the node's name, or none
		waited time.Duration
		remark string
	}{
		{"before a native one", []node{{"a", nil, time.Hour, false},
			{"b", []string{amd}, time.Second, false}}, "b", time.Second + nodePatience,
			"node a: no answer within 3s"},
		{"behind a native one", []node{{"a", []string{amd}, time.Second, false},
			{"b", nil, time.Hour, false}}, "a", time.Second, ""},
		{"between two native ones", []node{{"a", []string{amd}, time.Second, false},
			{"b", nil, time.Hour, false}, {"c", []string{amd}, 0, false}}, "a", time.Second, ""},
		{"slow, but not too slow", []node{{"a", []string{amd}, 2 * time.Second, false},
			{"b", []string{amd}, 0, false}}, "a", 2 * time.Second, ""},
		{"answers too late", []node{{"a", []string{amd}, time.Minute, true},
			{"b", []string{amd}, 0, false}}, "b", nodePatience, "node a"},
		{"fails while it is waited for",
			[]node{{"a", nil, time.Second, false}, {"b", []string{amd}, 0, false}}, "b",
			time.Second, "a is silent"},
		{"beside one that emulates", []node{{"a", nil, 20 * time.Second, false},
			{"b", []string{arm, amd}, 0, false}}, "", 20 * time.Second, ""},
		{"may be the native one", []node{{"a", []string{amd}, 19 * time.Second, false},
			{"b", []string{arm, amd}, 0, false}}, "a", 19 * time.Second, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fakes, asked := map[string]*fakeNode{}, map[string]node{}
				var nodes []buildx.Node
				for _, n := range c.nodes {
					fakes[n.name], asked[n.name] = &fakeNode{name: n.name, runs: n.runs}, n
					nodes = append(nodes, buildx.Node{Name: n.name})
				}
				begun := time.Now()
				got, err := pickNode(t.Context(), nodes, amd,
					func(ctx context.Context, n buildx.Node) (Builder, error) {
						off := ctx.Done()
						if asked[n.Name].deaf {
							off = nil
						}
						select {
						case <-off:
							return nil, ctx.Err()
						case <-time.After(asked[n.Name].after):
						}
						if len(asked[n.Name].runs) == 0 {
							return nil, &buildkit.Error{Op: "connect", Kind: buildkit.ErrNoBuilder,
								Err: errors.New(n.Name + " is silent")}
						}
						return fakes[n.Name], nil
					})
				if waited := time.Since(begun); waited != c.waited {
					t.Errorf("waited %s, want %s", waited, c.waited)
				}
				if (err == nil) != (c.want != "") || err != nil &&
					!errors.Is(err, buildkit.ErrNoBuilder) {
					t.Fatalf("got %v", err)
				}
				time.Sleep(time.Hour) // the fake clock's: until the last has answered
				synctest.Wait()
				for name, f := range fakes {
					connected := len(f.runs) > 0 &&
						(asked[name].deaf || asked[name].after <= c.waited)
					if want := connected && name != c.want; f.closed != want {
						t.Errorf("%s: closed %t, want %t", name, f.closed, want)
					}
				}
				if err != nil {
					return
				}
				remarks := strings.Join(got.Remarks, "\n")
				if got.Info().Endpoint != c.want || (remarks == "") != (c.remark == "") ||
					!strings.Contains(remarks, c.remark) {
					t.Errorf("got %s, remarks %q", got.Info().Endpoint, remarks)
				}
			})
		})
	}
}
