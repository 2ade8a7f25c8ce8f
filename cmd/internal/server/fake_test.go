package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/feed"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// canary is a credential that no output may contain.
const canary = "s3cr3t-canary-token"

func revision(t testing.TB, digit string) git.Revision {
	t.Helper()
	r, err := git.ParseRevision(strings.Repeat(digit, 40))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func imageOf(name string, outcome pinion.Outcome) pinion.Image {
	return pinion.Image{
		Schema: 1, Name: name, Mode: resolver.ModeLocalBuild, Outcome: outcome,
		Reference: "molecule-local/" + name + ":1",
		ID:        "sha256:" + name, Platform: "linux/amd64",
		Receipt: pinion.Receipt{Builder: &buildkit.Info{Kind: "docker", Endpoint: "unix:///x",
			Version: "v1"}, Fetch: &buildkit.Fetch{Strategy: "commit"},
			Delivery: &buildkit.Delivery{Method: "moby", Bytes: 7}},
	}
}

// fakeBackend shares builds by name, as the orchestrator does. The image "there" is a hit.
// "unknown" is not in the catalogue, "leaks" fails with a credential, "limited" by a git server's
// limit, and "panics" panics. The look-up of "slow" lasts until the caller leaves, and that of
// "held" until the test ends it. All others are built until the test ends the build.
type fakeBackend struct {
	head  git.Revision
	ready error
	// lookUps gets a value when a look-up of "held" begins, and another when it ends.
	lookUps chan struct{}

	mu     sync.Mutex
	builds map[string]*fakeBuild
	calls  []int               // number of options of each call
	traces []trace.SpanContext // of each call
	all    []*fakeBuild
}

func (f *fakeBackend) Start(
	ctx context.Context, name string, opts ...pinion.EnsureOption,
) (Call, error) {
	if name == "held" {
		for range 2 {
			select {
			case f.lookUps <- struct{}{}:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, len(opts))
	f.traces = append(f.traces, trace.SpanContextFromContext(ctx))
	switch name {
	case "unknown":
		return nil, &pinion.Error{Name: name, Origin: pinion.OriginCatalogue,
			Err: pinion.ErrUnknownTemplate}
	case "leaks":
		return nil, &pinion.Error{Name: name, Origin: pinion.OriginGit,
			Err: errors.New("\x1b[31m" + canary)}
	case "away":
		return nil, &pinion.Error{Name: name, Origin: pinion.OriginGit, Err: pinion.ErrUnavailable}
	case "limited":
		return nil, &pinion.Error{Name: name, Origin: pinion.OriginGit,
			Err: &resolver.RateLimitError{RetryAfter: 90*time.Second + time.Millisecond}}
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "panics":
		panic("with " + canary)
	case "there":
		b := newFakeBuild(f, name)
		b.end(imageOf(name, pinion.OutcomeHit), nil)
		return &fakeCall{fakeBuild: b, hit: true}, nil
	}
	b := f.builds[name]
	if b == nil {
		b = newFakeBuild(f, name)
		f.builds[name] = b
		f.all = append(f.all, b)
	}
	b.callers++
	return &fakeCall{fakeBuild: b, leave: sync.OnceFunc(b.left)}, nil
}

func (f *fakeBackend) build(name string) *fakeBuild {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.builds[name]
}

func (f *fakeBackend) List(context.Context) ([]pinion.Built, error) {
	if f.ready != nil {
		return nil, f.ready
	}
	return []pinion.Built{{Name: "there", Reference: "r:1", ImageID: "sha256:1",
		Revision: f.head.String(), Platform: "linux/amd64", Size: 1,
		BuiltAt: time.Unix(1, 0).UTC()}}, nil
}

func (f *fakeBackend) Templates() []pinion.Resolution {
	return []pinion.Resolution{{Name: "there", Mode: resolver.ModeLocalBuild,
		Repository: "https://git.example.com/a/b", Ref: "HEAD"}}
}

func (f *fakeBackend) Behind(
	_ context.Context, name string, since git.Revision,
) (b pinion.Behind, err error) {
	switch name {
	case "there":
	case "leaks":
		return b, errors.New(canary)
	case "away":
		return b, &pinion.Error{Name: name, Origin: pinion.OriginGit, Err: pinion.ErrUnavailable}
	default:
		return b, &pinion.Error{Name: name, Origin: pinion.OriginCatalogue,
			Err: pinion.ErrUnknownTemplate}
	}
	b.Resolution = f.Templates()[0]
	b.Revision, b.Reference = f.head, "r:2"
	if !since.IsZero() {
		b.Commits = []pinion.Commit{{Revision: f.head, Subject: "<b>", Author: "a",
			Time: time.Unix(1, 0).UTC()}}
		b.More = true
	}
	return b, nil
}

func (f *fakeBackend) DiskUsage(context.Context) (pinion.DiskUsage, error) {
	return pinion.DiskUsage{Size: 1, Templates: []pinion.TemplateUsage{{Name: "there",
		Platform: "linux/amd64", Images: 1, Size: 1}}}, f.ready
}

func (f *fakeBackend) Prune(
	_ context.Context, opts pinion.PruneOptions,
) (pinion.PruneReport, error) {
	if f.ready != nil {
		return pinion.PruneReport{}, f.ready
	}
	return pinion.PruneReport{DryRun: opts.DryRun, Items: []pinion.PruneItem{{
		Built: pinion.Built{Name: "there", Reference: "r:1"}, Action: pinion.PruneRemoved,
		Reason: fmt.Sprintf("beyond the newest %d", opts.Keep)}}}, nil
}

func (f *fakeBackend) Doctor(context.Context) []pinion.Check {
	return []pinion.Check{{Name: "git server", Status: pinion.StatusFail, Detail: "\x1b" + canary}}
}

func (f *fakeBackend) Ready(context.Context) error { return f.ready }
func (f *fakeBackend) Redact(s string) string      { return redact.New(canary).String(s) }

type fakeBuild struct {
	backend *fakeBackend
	feed    *feed.Feed[pinion.Event]
	done    chan struct{}
	callers int // guarded by the backend's mu

	mu     sync.Mutex
	status pinion.BuildStatus
	err    error
}

var ids = struct {
	sync.Mutex
	n int
}{}

func newFakeBuild(f *fakeBackend, name string) *fakeBuild {
	ids.Lock()
	defer ids.Unlock()
	ids.n++
	b := &fakeBuild{backend: f, feed: feed.New[pinion.Event](1 << 20), done: make(chan struct{}),
		status: pinion.BuildStatus{
			ID: fmt.Sprintf("build%d", ids.n), Name: name, State: pinion.BuildRunning,
			Reference: "molecule-local/" + name + ":1",
			Revision:  f.head, Cause: "new", Started: time.Now().UTC(),
		}}
	b.emit(pinion.Event{Type: pinion.EventResolved, Revision: f.head,
		Reference: b.status.Reference})
	return b
}

func (b *fakeBuild) emit(e pinion.Event) {
	e.Name, e.Time = b.status.Name, time.Now().UTC()
	b.feed.Add(len(e.Text), func(n int64) pinion.Event { e.ID = n; return e })
}

func (b *fakeBuild) end(img pinion.Image, err error) {
	b.mu.Lock()
	b.status.Ended, b.err = time.Now().UTC(), err
	if err == nil {
		b.status.State, b.status.Image = pinion.BuildDone, &img
	} else {
		b.status.State, b.status.Failure = pinion.BuildFailed,
			&pinion.Failure{Message: err.Error(), Class: pinion.ClassOf(err),
				Origin: pinion.OriginBuildKit}
	}
	last := pinion.Event{Type: pinion.EventDone, Image: b.status.Image}
	if err != nil {
		last = pinion.Event{Type: pinion.EventFailed, Failure: b.status.Failure}
	}
	b.mu.Unlock()
	b.emit(last)
	b.feed.Close()
	close(b.done)
}

// left removes a caller. The last one ends the build.
func (b *fakeBuild) left() {
	b.backend.mu.Lock()
	defer b.backend.mu.Unlock()
	b.callers--
	if b.callers == 0 && b.backend.builds[b.status.Name] == b {
		delete(b.backend.builds, b.status.Name)
		select {
		case <-b.done:
		default:
			b.end(pinion.Image{}, context.Canceled)
		}
	}
}

// finish lets the build succeed.
func (b *fakeBuild) finish() {
	b.backend.mu.Lock()
	delete(b.backend.builds, b.status.Name)
	b.backend.mu.Unlock()
	b.end(imageOf(b.status.Name, pinion.OutcomeBuilt), nil)
}

func (b *fakeBuild) waiting() int {
	b.backend.mu.Lock()
	defer b.backend.mu.Unlock()
	return b.callers
}

func (b *fakeBuild) ID() string            { return b.status.ID }
func (b *fakeBuild) Cancel()               { b.end(pinion.Image{}, context.Canceled) }
func (b *fakeBuild) Done() <-chan struct{} { return b.done }
func (b *fakeBuild) Events(ctx context.Context, after int64) iter.Seq[pinion.Event] {
	return b.feed.After(ctx, after)
}

func (b *fakeBuild) Status() pinion.BuildStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

func (b *fakeBuild) setStatus(change func(*pinion.BuildStatus)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
}

type fakeCall struct {
	*fakeBuild
	hit   bool
	leave func()
}

func (c *fakeCall) Hit() bool { return c.hit }
func (c *fakeCall) Leave() {
	if c.leave != nil {
		c.leave()
	}
}

func (c *fakeCall) Wait(ctx context.Context) (pinion.Image, error) {
	defer c.Leave()
	select {
	case <-c.done:
		if s := c.Status(); s.Image != nil {
			return *s.Image, nil
		}
		return pinion.Image{}, c.err
	case <-ctx.Done():
		return pinion.Image{}, ctx.Err()
	}
}

// stage is a server on a port, with a fake backend.
type stage struct {
	*Server
	backend *fakeBackend
	url     string
}

func newStage(t testing.TB, opts ...Option) *stage {
	t.Helper()
	f := &fakeBackend{head: revision(t, "a"), builds: map[string]*fakeBuild{},
		lookUps: make(chan struct{})}
	s := newServer(f, opts...)
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.stop(context.Background(), 0)
		h.Close()
	})
	return &stage{s, f, h.URL}
}

// withLimits changes the limits.
func withLimits(change func(*limits)) Option { return func(s *Server) { change(&s.limits) } }

// response is a response with its body.
type response struct {
	*http.Response
	text string
}

func (s *stage) ask(t testing.TB, method, path, body string, header ...string) response {
	t.Helper()
	a, err := s.try(t.Context(), method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s *stage) try(
	ctx context.Context, method, path, body string, header ...string,
) (response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return response{resp, string(text)}, err
}

// eventually polls for the effect of another goroutine.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("did not happen: %s", what)
		case <-tick.C:
		}
	}
}
