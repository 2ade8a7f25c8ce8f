package buildkit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	// kill ends the builder the hard way.
	kill func()
}

// engine is a Docker engine as package buildkit wants it.
type engine struct {
	*client.Client
	host string
}

func (e engine) Endpoint() string { return e.host }

// onEachBuilder runs f on a standalone buildkitd and on the BuildKit of each Docker engine.
func onEachBuilder(t *testing.T, f func(*testing.T, *bench)) {
	t.Run("buildkitd", func(t *testing.T) { f(t, standalone(t)) })
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			d := partstest.Dockerd(t, flavour)
			c, err := client.New(client.WithHost(d.Host()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			facts := buildkit.EngineFacts{ContainerdStore: flavour == parts.Docker29Containerd}
			b, err := buildkit.ForEngine(t.Context(), engine{c, d.Host()}, facts)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { b.Close() })
			f(t, &bench{b, partstest.GitHTTP(t), d.Kill})
		})
	}
}

func standalone(t *testing.T) *bench {
	t.Helper()
	d := partstest.Buildkitd(t, parts.BuildkitdOptions{})
	b, err := buildkit.Dial(t.Context(), d.Addr(), buildkit.TLS{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return &bench{b, partstest.GitHTTP(t), d.Kill}
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
		Remote: remote, Revision: rev, Dockerfile: "Dockerfile", Platform: platforms.MustParse("linux/amd64"),
		Reference: "molecule-local/test-" + name + ":unverified", Labels: map[string]string{"a": "b"},
	}
}

// busybox is a template whose Dockerfile ends in the given lines, with further files beside it.
func (b *bench) busybox(t *testing.T, name string, lines []string, more ...parts.File) buildkit.Request {
	t.Helper()
	return b.template(t, name, append(partstest.BusyboxTemplate(t, lines...), more...)...)
}

// discard is a sink that reads the archive to the end.
type discard struct{}

func (discard) Receive(ctx context.Context, image buildkit.Solved, onBytes func(int)) (buildkit.Delivery, error) {
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

func (tr *transcript) hear(s *bkclient.SolveStatus) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, v := range s.Vertexes {
		tr.text.WriteString(v.Name + "\n" + v.Error + "\n")
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
