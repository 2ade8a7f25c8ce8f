//go:build linux

package daemon_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
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

// nowhere is a sink that takes an image and forgets it.
type nowhere struct{}

func (nowhere) Receive(ctx context.Context, image buildkit.Solved,
	_ func(int)) (buildkit.Delivery, error) {
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

func (nowhere) Load(_ context.Context, archive io.Reader) error {
	_, err := io.Copy(io.Discard, archive)
	return err
}

// solving is a build under way.
type solving struct {
	printed chan string // what its steps print
	done    chan error
	result  buildkit.Result
}

func (b *bed) solve(addr string, tpl template) *solving {
	b.t.Helper()
	builder, err := buildkit.Dial(b.t.Context(), addr, buildkit.TLS{}, buildkit.Managed())
	if err != nil {
		b.t.Fatal(err)
	}
	s := &solving{printed: make(chan string, 100), done: make(chan error, 1)}
	go func() {
		defer builder.Close()
		var err error
		s.result, err = builder.Solve(b.t.Context(), buildkit.Request{
			Remote: tpl.remote, Revision: tpl.rev, Dockerfile: "Dockerfile",
			Platform:  platforms.Normalize(platforms.DefaultSpec()),
			Reference: "molecule-local/one:x",
			Progress: func(st *client.SolveStatus) {
				for _, l := range st.Logs {
					s.printed <- string(l.Data)
				}
			},
		}, nowhere{})
		s.done <- err
	}()
	return s
}

// awaits waits until a step prints the text.
func (s *solving) awaits(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case got := <-s.printed:
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

func (s *solving) ends(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the build does not end")
		return nil
	}
}

// sleeper is a step that is there long enough to be killed, and can be told from any other process.
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

// nothingLeft checks that no process, mount, container or temporary file is left of a daemon that
// has ended.
func (b *bed) nothingLeft(alive func() bool) {
	b.t.Helper()
	within(b.t, 10*time.Second, "its processes end", func() bool {
		return len(daemonsOf(b.t, b.root)) == 0 && !alive()
	})
	if m := mountsBelow(b.t, b.root); len(m) > 0 {
		b.t.Errorf("still mounted: %q", m)
	}
}

// leftovers are the bundles and control groups that builds leave which did not end in good order.
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

func TestKilledInTheMiddleOfABuildNothingIsLeftAndTheNextRecovers(t *testing.T) {
	for name, victim := range map[string]func(b *bed, p *daemon.Process) int{
		"BuildKit itself":   func(_ *bed, p *daemon.Process) int { return p.PID },
		"the first process": func(b *bed, p *daemon.Process) int { return parent(b.t, p.PID) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			m := b.manager("v1")
			step, alive := sleeper(t)
			tpl := newTemplate(t, "RUN echo first > /first", step)
			build := b.solve(b.ensure(m), tpl)
			build.awaits(t, "under way")
			p := b.process(m)
			if p.ActiveBuilds != 1 || !alive() {
				t.Errorf("got %+v, step under way: %t", p, alive())
			}
			if err := syscall.Kill(victim(b, p), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := build.ends(t); !errors.Is(err, buildkit.ErrNoBuilder) {
				t.Errorf("got %v", err)
			}
			b.nothingLeft(alive)
			if len(b.leftovers()) == 0 {
				t.Error(
					"there is nothing that the next start could sweep up, so this shows nothing",
				)
			}

			// The same repository, with a step that ends: what was built before is not built again.
			sha, err := tpl.server.Push(t.Context(), "one",
				parts.Commit{Files: partstest.BusyboxTemplate(t, "RUN echo first > /first",
					"RUN echo second")})
			if err != nil {
				t.Fatal(err)
			}
			tpl.rev, _ = git.ParseRevision(sha)
			addr := b.ensure(m)
			if left := b.leftovers(); len(left) > 0 {
				t.Errorf("the next start leaves %q", left)
			}
			again := b.solve(addr, tpl)
			again.awaits(t, "second")
			if err := again.ends(t); err != nil || again.result.ManifestDigest == "" {
				t.Errorf("got %+v, %v", again.result, err)
			}
		})
	}
}

// parent is the process that started another one.
func parent(t *testing.T, pid int) int {
	t.Helper()
	ppid, err := ppidOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	return ppid
}

func TestStopLetsABuildEndInItsGrace(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	build := b.solve(b.ensure(m), newTemplate(t, "RUN echo under way; sleep 2; echo through"))
	build.awaits(t, "under way")
	if stopped, err := m.Stop(t.Context(), time.Minute); err != nil || !stopped {
		t.Errorf("stopped %t, %v", stopped, err)
	}
	if err := build.ends(t); err != nil {
		t.Errorf("the build: %v", err)
	}
	b.nothingLeft(func() bool { return false })
}

func TestStopCancelsABuildAfterItsGrace(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	step, alive := sleeper(t)
	build := b.solve(b.ensure(m), newTemplate(t, step))
	build.awaits(t, "under way")
	if stopped, err := m.Stop(t.Context(), 100*time.Millisecond); err != nil || !stopped {
		t.Errorf("stopped %t, %v", stopped, err)
	}
	if err := build.ends(t); !errors.Is(err, buildkit.ErrNoBuilder) {
		t.Errorf("the build: %v", err)
	}
	b.nothingLeft(alive)
	if left := b.leftovers(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestWhoComesWhileItStopsGetsTheNext(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	build := b.solve(b.ensure(m), newTemplate(t, "RUN echo under way; sleep 2"))
	build.awaits(t, "under way")
	old := b.process(m).PID
	stopped := make(chan error, 1)
	go func() {
		_, err := b.manager("v1").Stop(t.Context(), time.Minute)
		stopped <- err
	}()
	within(t, 10*time.Second, "it takes no more", func() bool {
		st, err := m.Status(t.Context())
		return err != nil || !st.Running || st.Process.Stopping
	})
	b.ensure(m)
	if p := b.process(m); p.PID == old || p.Stopping {
		t.Errorf("got %+v, the old one was %d", p, old)
	}
	if err := errors.Join(<-stopped, build.ends(t)); err != nil {
		t.Error(err)
	}
}

func TestAnotherVersionThatBuildsIsUsedOnceMore(t *testing.T) {
	b := newBed(t)
	old := b.manager("v1")
	addr := b.ensure(old)
	build := b.solve(addr, newTemplate(t, "RUN echo under way; sleep 2"))
	build.awaits(t, "under way")
	var told []string
	m := b.manager("v2", daemon.WithNotice(func(s string) { told = append(told, s) }))
	if got := b.ensure(m); got != addr || len(told) != 1 || b.process(m).Version != "v1" {
		t.Errorf("got %s, told %q", got, told)
	}
	if err := build.ends(t); err != nil {
		t.Error(err)
	}
	within(t, 20*time.Second, "it is replaced", func() bool {
		b.ensure(m)
		return b.process(m).Version == "v2"
	})
}

func TestABuildKeepsItFromIdleExit(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1", daemon.WithIdle(time.Second))
	tpl := newTemplate(t, "RUN echo under way; sleep 3; echo through")
	build := b.solve(b.ensure(m), tpl)
	build.awaits(t, "through")
	if err := build.ends(t); err != nil {
		t.Error(err)
	}
	b.nothingLeft(func() bool { return false })
}

func TestPruneFreesWhatIsNotUsed(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	build := b.solve(b.ensure(m), newTemplate(t, "RUN echo x > /x"))
	if err := build.ends(t); err != nil {
		t.Fatal(err)
	}
	if used := b.process(m).DiskUsage; used < 1<<20 {
		t.Errorf("%d bytes used", used)
	}
	freed, err := m.Prune(t.Context(), daemon.Prune{All: true})
	if err != nil || freed < 1<<20 {
		t.Errorf("freed %d bytes, %v", freed, err)
	}
	if used := b.process(m).DiskUsage; used > 1<<16 {
		t.Errorf("%d bytes still used", used)
	}
}

// BuildKit collects garbage a second after it has started, and then at most once a minute.
func TestCacheKeepsToItsLimit(t *testing.T) {
	const limit = 8 << 20
	b := newBed(t)
	m := b.manager("v1")
	build := b.solve(b.ensure(m), newTemplate(t,
		"RUN for i in 1 2 3 4 5; do cat /bin/busybox; done > /big && for i in 1 2 3 4; do cat "+
			"/big; done > /bigger"))
	if err := build.ends(t); err != nil {
		t.Fatal(err)
	}
	if used := b.process(m).DiskUsage; used < 2*limit {
		t.Fatalf("%d bytes used, which is too little to collect", used)
	}
	if _, err := m.Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	limited := b.manager("v1", daemon.WithKeepStorage(limit))
	b.ensure(limited)
	if keep := b.process(limited).KeepStorage; keep != limit {
		t.Errorf("it keeps %d bytes", keep)
	}
	within(t, time.Minute, "the cache is within its limit", func() bool {
		return b.process(limited).DiskUsage <= limit
	})
}

// The whole way: nothing named but the managed builder, an engine to deliver into, a hit that needs
// no builder.
func TestEnsureWithTheManagedBuilderIntoAnEngine(t *testing.T) {
	b := newBed(t)
	engine := partstest.Dockerd(t, parts.Docker20)
	server := partstest.GitHTTP(t)
	const repo = "x-claude-code"
	if err := server.CreateRepo(t.Context(), repo, parts.SHA1); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Push(t.Context(), repo,
		parts.Commit{Files: partstest.BusyboxTemplate(t, "RUN echo x > /x")}); err != nil {
		t.Fatal(err)
	}
	m := b.manager("v1")
	lookup := func(name string) (string, bool) { v, ok := b.env[name]; return v, ok }
	open := func(start func(context.Context) (string, error)) *pinion.Orchestrator {
		o, err := pinion.New(pinion.OptionsFromEnv(lookup),
			pinion.WithCacheDir(filepath.Join(b.root, "..", "cache")),
			pinion.WithRepoPrefix(server.URL()+"/x-"), pinion.WithDockerHost(engine.Host()),
			pinion.WithPlatform(pinion.NativePlatform),
			pinion.WithBuilder(pinion.ManagedBuilder, pinion.TLS{}),
			pinion.WithManagedBuilder(start))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	img, err := open(m.Ensure).Ensure(t.Context(), "claude-code")
	if err != nil {
		t.Fatal(err)
	}
	if img.Outcome != pinion.OutcomeBuilt || img.Builder.Kind != buildkit.KindManaged ||
		img.Builder.Endpoint != b.process(m).Address {
		t.Errorf("got %+v, builder %+v", img, img.Builder)
	}
	never := func(context.Context) (string, error) { return "", os.ErrInvalid }
	if hit, err := open(never).Ensure(t.Context(), "claude-code"); err != nil ||
		hit.Outcome != pinion.OutcomeHit || hit.ID != img.ID {
		t.Errorf("got %+v, %v", hit, err)
	}
	if _, err := open(never).Ensure(t.Context(), "claude-code", pinion.NoCache()); !errors.Is(err,
		pinion.ErrNoBuilder) || !errors.Is(err, os.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
