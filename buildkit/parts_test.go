package buildkit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/platforms"
	bkclient "github.com/moby/buildkit/client"
	"github.com/moby/moby/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// bench is a builder with a git server beside it.
type bench struct {
	*buildkit.Builder
	git *parts.GitHTTP
	// connect makes another connection to the builder.
	connect func(context.Context, ...buildkit.Option) (*buildkit.Builder, error)
	// kill ends the builder the hard way.
	kill    func()
	closers []func() error
}

// engine is a Docker engine that implements buildkit.Engine.
type engine struct {
	*client.Client
	host string
}

func (e engine) Endpoint() string { return e.host }

// builders are the kinds of builder that most tests run on.
func builders() []string {
	names := []string{"buildkitd"}
	for _, f := range parts.Flavours() {
		names = append(names, string(f))
	}
	return names
}

// benches holds one bench of each kind for the tests that leave it as they found it. TestMain ends
// them.
var benches = map[string]*bench{}

// onBuilders runs f on a standalone buildkitd or on the BuildKit of a Docker engine, see
// [partstest.Sample].
func onBuilders(t *testing.T, f func(*testing.T, *bench)) {
	onEachOf(t, partstest.Sample(t, builders()), f)
}

func onEachOf(t *testing.T, names []string, f func(*testing.T, *bench)) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			partstest.Need(t, name, "git", "busybox")
			if benches[name] == nil {
				benches[name] = startBench(t, name)
			}
			f(t, benches[name])
		})
	}
}

// ownBench is a bench for a test that may break it.
func ownBench(t *testing.T, name string) *bench {
	t.Helper()
	partstest.Need(t, name, "git", "busybox")
	b := startBench(t, name)
	b.endWith(t)
	return b
}

// endWith ends a bench with the test.
func (b *bench) endWith(t *testing.T) {
	t.Cleanup(func() {
		if err := b.end(); err != nil {
			t.Error(err)
		}
	})
}

func startBench(t *testing.T, name string) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "pinion-")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{closers: []func() error{func() error { return os.RemoveAll(dir) }}}
	if err := b.start(t.Context(), name, dir); err != nil {
		t.Fatal(errors.Join(err, b.end()))
	}
	return b
}

func (b *bench) start(ctx context.Context, name, dir string) error {
	if err := b.startGit(filepath.Join(dir, "git")); err != nil {
		return err
	}
	if name == "buildkitd" {
		return b.startBuildkitd(ctx, filepath.Join(dir, "b"), parts.BuildkitdOptions{})
	}
	d, err := parts.StartDockerd(ctx, filepath.Join(dir, "d"), parts.Flavour(name))
	if err != nil {
		return err
	}
	b.closers, b.kill = append(b.closers, d.Close), d.Kill
	c, err := client.New(client.WithHost(d.Host()))
	if err != nil {
		return err
	}
	b.closers = append(b.closers, c.Close)
	facts := buildkit.EngineFacts{ContainerdStore: parts.Flavour(name) == parts.Docker29Containerd}
	b.connect = func(ctx context.Context, opts ...buildkit.Option) (*buildkit.Builder, error) {
		return buildkit.ForEngine(ctx, engine{c, d.Host()}, facts, opts...)
	}
	b.Builder, err = b.connect(ctx)
	return err
}

func (b *bench) startGit(dir string) (err error) {
	if b.git, err = parts.StartGitHTTP(dir); err == nil {
		b.closers = append(b.closers, b.git.Close)
	}
	return err
}

func (b *bench) startBuildkitd(
	ctx context.Context, dir string, opts parts.BuildkitdOptions,
) error {
	d, err := parts.StartBuildkitd(ctx, dir, opts)
	if err != nil {
		return err
	}
	b.closers, b.kill = append(b.closers, d.Close), d.Kill
	b.connect = func(ctx context.Context, opts ...buildkit.Option) (*buildkit.Builder, error) {
		return buildkit.Dial(ctx, d.Addr(), buildkit.TLS{}, opts...)
	}
	b.Builder, err = b.connect(ctx)
	return err
}

// end closes in the opposite order of the start.
func (b *bench) end() (err error) {
	if b.Builder != nil {
		err = b.Builder.Close()
	}
	for _, f := range slices.Backward(b.closers) {
		err = errors.Join(err, f())
	}
	return err
}

// template pushes a repository and returns the request that builds it.
func (b *bench) template(t *testing.T, name string, files ...parts.File) buildkit.Request {
	t.Helper()
	if err := b.git.CreateRepo(t.Context(), name, ""); err != nil {
		t.Fatal(err)
	}
	return b.push(t, name, files...)
}

// push makes a commit in a repository that is there and returns the request that builds it.
func (b *bench) push(t *testing.T, name string, files ...parts.File) buildkit.Request {
	t.Helper()
	sha, err := b.git.Push(t.Context(), name, parts.Commit{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	remote, err := git.ParseRemote(b.git.RepoURL(name))
	if err != nil {
		t.Fatal(err)
	}
	rev, err := git.ParseRevision(sha)
	if err != nil {
		t.Fatal(err)
	}
	return buildkit.Request{
		Remote: remote, Revision: rev, Dockerfile: "Dockerfile",
		Platform:  platforms.MustParse("linux/amd64"),
		Reference: "molecule-local/test-" + name + ":unverified",
		Labels:    map[string]string{"a": "b"},
	}
}

// busybox is a template whose Dockerfile ends in the given lines, with further files beside it.
func (b *bench) busybox(
	t *testing.T, name string, lines []string, more ...parts.File,
) buildkit.Request {
	t.Helper()
	return b.template(t, name, append(partstest.BusyboxTemplate(t, lines...), more...)...)
}

// discard is a sink that reads the archive to the end.
type discard struct{}

func (discard) Receive(
	ctx context.Context, image buildkit.Solved, onBytes func(int),
) (buildkit.Delivery, error) {
	var manifest ocispecs.Manifest
	if err := json.Unmarshal(image.Manifest, &manifest); err != nil {
		return buildkit.Delivery{}, err
	}
	d := buildkit.Delivery{Method: buildkit.MethodDelta}
	for _, layer := range manifest.Layers {
		blob, err := image.Open(ctx, layer)
		if err != nil {
			return d, err
		}
		n, err := io.Copy(io.Discard, blob)
		if err != nil || n != layer.Size {
			return d, fmt.Errorf("layer of %d bytes gave %d: %w", layer.Size, n, err)
		}
		onBytes(int(n))
		d.Bytes += n
		d.LayersSent++
	}
	return d, nil
}

func (discard) Load(_ context.Context, archive io.Reader) error {
	_, err := io.Copy(io.Discard, archive)
	return err
}

// transcript collects the progress of a build as text.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (tr *transcript) record(s *bkclient.SolveStatus) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, v := range s.Vertexes {
		tr.text.WriteString(v.Name + "\n" + v.Error + "\n" + v.ProgressGroup.GetName() + "\n")
	}
	for _, l := range s.Logs {
		tr.text.Write(l.Data)
	}
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.String()
}

// waitABit paces a loop that waits for a part outside this process.
func waitABit(t *testing.T) {
	select {
	case <-t.Context().Done():
	case <-time.After(20 * time.Millisecond):
	}
}
