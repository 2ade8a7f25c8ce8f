//go:build linux

package daemon_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// template is a repository on a git server, with a commit.
type template struct {
	server *parts.GitHTTP
	remote git.Remote
	rev    git.Revision
}

func newTemplate(t *testing.T, lines ...string) template {
	t.Helper()
	tpl := template{server: partstest.GitHTTP(t)}
	if err := tpl.server.CreateRepo(t.Context(), "one", parts.SHA1); err != nil {
		t.Fatal(err)
	}
	sha, err := tpl.server.Push(t.Context(), "one",
		parts.Commit{Files: partstest.BusyboxTemplate(t, lines...)})
	if err != nil {
		t.Fatal(err)
	}
	var errRemote, errRev error
	tpl.remote, errRemote = git.ParseRemote(tpl.server.RepoURL("one"))
	tpl.rev, errRev = git.ParseRevision(sha)
	if err := errors.Join(errRemote, errRev); err != nil {
		t.Fatal(err)
	}
	return tpl
}

// discard is a sink that reads an image and discards it.
type discard struct{}

func (discard) Receive(
	ctx context.Context, image buildkit.Solved, _ func(int),
) (buildkit.Delivery, error) {
	var manifest ocispecs.Manifest
	if err := json.Unmarshal(image.Manifest, &manifest); err != nil {
		return buildkit.Delivery{}, err
	}
	for _, layer := range manifest.Layers {
		blob, err := image.Open(ctx, layer)
		if err != nil {
			return buildkit.Delivery{}, err
		}
		_, err = io.Copy(io.Discard, blob)
		blob.Close()
		if err != nil {
			return buildkit.Delivery{}, err
		}
	}
	return buildkit.Delivery{Method: buildkit.MethodDelta}, nil
}

func (discard) Load(_ context.Context, archive io.Reader) error {
	_, err := io.Copy(io.Discard, archive)
	return err
}

// solve is a running build.
type solve struct {
	output chan string // of its steps
	done   chan error
	result buildkit.Result
}

func (b *bed) solve(addr string, tpl template) *solve {
	b.t.Helper()
	builder, err := buildkit.Dial(b.t.Context(), addr, buildkit.TLS{}, buildkit.Managed())
	if err != nil {
		b.t.Fatal(err)
	}
	s := &solve{output: make(chan string, 100), done: make(chan error, 1)}
	go func() {
		defer builder.Close()
		var err error
		s.result, err = builder.Solve(b.t.Context(), buildkit.Request{
			Remote: tpl.remote, Revision: tpl.rev, Dockerfile: "Dockerfile",
			Platform:  platforms.Normalize(platforms.DefaultSpec()),
			Reference: "molecule-local/one:x",
			Progress: func(st *client.SolveStatus) {
				for _, l := range st.Logs {
					s.output <- string(l.Data)
				}
			},
		}, discard{})
		s.done <- err
	}()
	return s
}

// await waits until a step prints the text.
func (s *solve) await(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case got := <-s.output:
			if strings.Contains(got, text) {
				return
			}
		case err := <-s.done:
			t.Fatalf("ended before it printed %q: %v", text, err)
		case <-timeout:
			t.Fatalf("did not print %q", text)
		}
	}
}

func (s *solve) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the build does not end")
		return nil
	}
}

// sleeper returns a long step, and a function that reports whether its process is alive. The
// process is distinguishable from all others.
func sleeper(t *testing.T) (line string, alive func() bool) {
	mark := "9" + strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, filepath.Base(partstest.Dir(t)))
	mark = mark[:min(len(mark), 9)]
	return "RUN echo under way; sleep " + mark, func() bool {
		return len(processes(t, func(c string) bool {
			return strings.HasSuffix(c, "\x00"+mark+"\x00")
		})) > 0
	}
}

// nothingLeft checks that no process and no mount of an ended daemon remains.
func (b *bed) nothingLeft(alive func() bool) {
	b.t.Helper()
	within(b.t, 10*time.Second, "the end of its processes", func() bool {
		return len(daemonsOf(b.t, b.root)) == 0 && !alive()
	})
	if m := mountsBelow(b.t, b.root); len(m) > 0 {
		b.t.Errorf("still mounted: %q", m)
	}
}

// leftovers returns the bundles and control groups of builds that were killed.
func (b *bed) leftovers() []string {
	b.t.Helper()
	bundles, _ := filepath.Glob(filepath.Join(b.root, "buildkit", "runc-*", "executor", "*",
		"config.json"))
	id := sha256.Sum256([]byte(b.root))
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		groups, _ := filepath.Glob(fmt.Sprintf("%s/pinion-buildkit-%x/buildkit/*/cgroup.procs",
			hierarchy, id[:4]))
		bundles = append(bundles, groups...)
	}
	return bundles
}

// parent returns the process that started another one.
func parent(t *testing.T, pid int) int {
	t.Helper()
	ppid, err := ppidOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	return ppid
}
