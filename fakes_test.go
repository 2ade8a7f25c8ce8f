package pinion

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	shaA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	shaB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func revision(t *testing.T, s string) git.Revision {
	t.Helper()
	rev, err := git.ParseRevision(s)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// fakeHeads is a git server with one answer for all.
type fakeHeads struct {
	mu      sync.Mutex
	sha     string
	err     error
	asked   int
	hints   []resolver.Dialect
	dialect resolver.Dialect // of the answers
	// moved, if set, is the head from the second question on.
	moved string
}

func (f *fakeHeads) Head(
	_ context.Context, remote git.Remote, ref git.Ref, hint resolver.Dialect,
) (resolver.Head, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	f.hints = append(f.hints, hint)
	if f.err != nil {
		return resolver.Head{}, f.err
	}
	sha := f.sha
	if f.asked > 1 && f.moved != "" {
		sha = f.moved
	}
	rev, err := git.ParseRevision(sha)
	return resolver.Head{Revision: rev, Ref: ref, Remote: remote, Dialect: f.dialect}, err
}

func (f *fakeHeads) OnBranch(
	_ context.Context, remote git.Remote, ref git.Ref, rev git.Revision, _ resolver.Dialect,
) (resolver.Head, error) {
	return resolver.Head{Revision: rev, Ref: ref, Remote: remote}, f.err
}

// fakeStore is an engine with a BuildKit, to which nothing connects.
type fakeStore struct{ *storetest.Memory }

func (fakeStore) DialHijack(
	context.Context, string, string, map[string][]string,
) (net.Conn, error) {
	panic("the fake has no BuildKit")
}

// fakeBuilder "builds" an image whose ID follows from the request and puts it into the store.
type fakeBuilder struct {
	store fakeStore
	mu    sync.Mutex
	built []buildkit.Request
	// wait, if set, is what a solve does before it ends.
	wait func(context.Context) error
	// spoil, if set, changes the image on its way to the store.
	spoil func(*imagestore.Image)
	// outside reports whether the builder delivers through the sink, so is not part of the engine.
	outside bool
	// kind is KindDocker if it is empty.
	kind buildkit.Kind
	// graph is the definition that a solve reports. save replaces SaveCache.
	graph *pb.Definition
	save  func(context.Context, buildkit.CacheSave) (ocispecs.Descriptor, error)
	// importFailed is what a solve reports, and closed counts.
	importFailed error
	// status, if set, is reported before wait, and so are checks.
	status *client.SolveStatus
	checks []buildkit.Check
	closed int
	// lacks is what RequirePlatform returns.
	lacks error
}

func (f *fakeBuilder) Info() buildkit.Info {
	return buildkit.Info{Kind: cmp.Or(f.kind, buildkit.KindDocker), Endpoint: f.store.Address,
		Version: "v0.34.2"}
}
func (f *fakeBuilder) Native() ocispecs.Platform {
	return platforms.MustParse("linux/arm64")
}
func (f *fakeBuilder) RequirePlatform(ocispecs.Platform) error { return f.lacks }
func (f *fakeBuilder) CacheUse(context.Context) (buildkit.CacheUse, error) {
	return buildkit.CacheUse{Records: 3, Size: 7e9, InUse: 2e6, Mounts: 1e9}, nil
}

// ReadArgs reads version 1.2.3 in each file.
func (f *fakeBuilder) ReadArgs(
	_ context.Context, req buildkit.Request,
) (values []arg.Value, err error) {
	for _, r := range req.Args {
		v := arg.Value{Name: r.Name, Value: r.Value, File: r.File}
		if r.File != "" {
			v.Value = "1.2.3"
		}
		values = append(values, v)
	}
	return values, nil
}

func (f *fakeBuilder) SaveCache(
	ctx context.Context, s buildkit.CacheSave,
) (ocispecs.Descriptor, error) {
	return f.save(ctx, s)
}

func (f *fakeBuilder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

func (f *fakeBuilder) connect(
	context.Context, *imagestore.Facts, string,
) (builder.Connection, error) {
	return builder.Connection{Builder: f}, nil
}

func (f *fakeBuilder) Solve(
	ctx context.Context, req buildkit.Request, sink buildkit.Sink,
) (buildkit.Result, error) {
	f.mu.Lock()
	f.built = append(f.built, req)
	f.mu.Unlock()
	req.Progress(cmp.Or(f.status, &client.SolveStatus{}))
	for _, c := range f.checks {
		req.OnCheck(c)
	}
	if f.wait != nil {
		if err := f.wait(ctx); err != nil {
			return buildkit.Result{}, err
		}
	}
	config := digest.FromString("config " + fmt.Sprint(req.Labels)).String()
	manifest := digest.FromString("manifest " + fmt.Sprint(req.Labels)).String()
	img := imagestore.Image{ID: config, Labels: maps.Clone(req.Labels),
		Platform: platforms.Format(req.Platform), Size: 42}
	if f.store.Kind == imagestore.KindContainerd {
		img.ID = manifest
	}
	if f.spoil != nil {
		f.spoil(&img)
	}
	if err := f.deliver(ctx, img, req.Reference, sink); err != nil {
		return buildkit.Result{}, err
	}
	args, err := f.ReadArgs(ctx, req)
	req.OnArgs(args)
	return buildkit.Result{Args: args, ConfigDigest: config, ManifestDigest: manifest,
		Fetch: buildkit.Fetch{Strategy: buildkit.StrategyCommit}, Graph: f.graph,
		ImportFailed: f.importFailed}, err
}

func (f *fakeBuilder) deliver(
	ctx context.Context, img imagestore.Image, reference string, sink buildkit.Sink,
) error {
	f.store.Expect(img)
	if !f.outside {
		f.store.Put(img, reference)
		return nil
	}
	_, err := sink.Receive(ctx, buildkit.Solved{Reference: reference}, func(int) {})
	return err
}

func (f *fakeBuilder) solves() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.built)
}

// world is an Orchestrator among fakes.
type world struct {
	*Orchestrator
	heads   *fakeHeads
	store   fakeStore
	builder *fakeBuilder
	log     *strings.Builder
}

func newWorld(t *testing.T, opts ...Option) *world {
	t.Helper()
	w := &world{heads: &fakeHeads{sha: shaA},
		store: fakeStore{storetest.NewMemory(imagestore.KindClassic)},
		log:   &strings.Builder{}}
	w.builder = &fakeBuilder{store: w.store}
	opts = append([]Option{WithCacheDir(t.TempDir() + "/cache"), WithConfig(emptyConfig(t))},
		opts...)
	o, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	w.Orchestrator = o
	w.attach(o)
	return w
}

// attach gives another Orchestrator, as another process would have, the same surroundings.
func (w *world) attach(o *Orchestrator) {
	o.current.Load().heads, o.connect = w.heads, w.builder.connect
	o.store = func() (imagestore.Store, error) { return w.store, nil }
}

func (w *world) ensure(t *testing.T, opts ...EnsureOption) Image {
	t.Helper()
	img, err := w.Ensure(t.Context(), "claude-code", opts...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
