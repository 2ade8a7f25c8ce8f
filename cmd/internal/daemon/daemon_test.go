//go:build linux

package daemon_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// bed is a root that is empty after the test, with whatever runs in it ended.
type bed struct {
	t    *testing.T
	root string
	env  map[string]string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	partstest.Need(t, "runc")
	b := &bed{t: t, root: filepath.Join(partstest.Dir(t), "r"),
		env: map[string]string{"PATH": os.Getenv("PATH"), "HOME": t.TempDir()}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := b.manager("v1").Stop(ctx, 0); err != nil {
			t.Errorf("stop at the end of the test: %v", err)
		}
		if left := daemonsOf(t, b.root); len(left) > 0 {
			t.Errorf("processes %q are left", left)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(b.root, "buildkitd.log"))
			t.Logf("the daemon's log:\n%s", log[max(0, len(log)-8<<10):])
		}
	})
	return b
}

func (b *bed) manager(version string, opts ...daemon.Option) *daemon.Manager {
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	lookup := func(name string) (string, bool) { v, ok := b.env[name]; return v, ok }
	return daemon.New(version, lookup,
		append([]daemon.Option{daemon.WithRoot(b.root), daemon.WithProgram(self)}, opts...)...)
}

func (b *bed) ensure(m *daemon.Manager) string {
	b.t.Helper()
	addr, err := m.Ensure(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return addr
}

func (b *bed) process(m *daemon.Manager) *daemon.Process {
	b.t.Helper()
	st, err := m.Status(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if st.Process == nil {
		b.t.Fatal("it does not run")
	}
	return st.Process
}

// within waits for something that no event tells of.
func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %s: %s", d, what)
		case <-tick.C:
		}
	}
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestStartsOnceAndIsFoundAgain(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	begun := time.Now()
	addr := b.ensure(m)
	cold := time.Since(begun)
	begun = time.Now()
	if again := b.ensure(m); again != addr {
		t.Errorf("first %s, then %s", addr, again)
	}
	t.Logf("cold %s, warm %s", cold, time.Since(begun))
	p := b.process(m)
	if p.Address != addr || p.Version != "v1" || p.ActiveBuilds != 0 || p.IdleExit != 900 ||
		p.KeepStorage != daemon.DefaultKeepStorage {
		t.Errorf("got %+v", p)
	}
	if sid, err := getsid(p.PID); err != nil || sid == mustSID(t) {
		t.Errorf("its session is %d (%v), ours too", sid, err)
	}
	if info, err := os.Stat(strings.TrimPrefix(addr, "unix://")); err != nil ||
		info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	stopped, err := m.Stop(t.Context(), time.Second)
	if err != nil || !stopped || running(p.PID) {
		t.Errorf("stopped %t, %v, running %t", stopped, err, running(p.PID))
	}
	if stopped, err = m.Stop(t.Context(), time.Second); err != nil || stopped {
		t.Errorf("again: stopped %t, %v", stopped, err)
	}
	if st, err := m.Status(t.Context()); err != nil || st.Running || st.Root != b.root {
		t.Errorf("got %+v, %v", st, err)
	}
}

func TestManyStartingAtOnceGetOneDaemon(t *testing.T) {
	b := newBed(t)
	addrs := make([]string, 12)
	var all sync.WaitGroup
	for i := range addrs {
		all.Go(func() {
			addr, err := b.manager("v1").Ensure(t.Context())
			if err != nil {
				t.Error(err)
			}
			addrs[i] = addr
		})
	}
	all.Wait()
	for _, addr := range addrs {
		if addr != addrs[0] {
			t.Errorf("%s and %s", addr, addrs[0])
		}
	}
	if n := len(daemonsOf(t, b.root)); n != 2 { // its two processes
		t.Errorf("%d processes work on the root", n)
	}
}

func TestEndsWhenIdle(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1", daemon.WithIdle(500*time.Millisecond))
	b.ensure(m)
	within(t, 20*time.Second, "idle exit", func() bool { return len(daemonsOf(t, b.root)) == 0 })
	if st, err := m.Status(t.Context()); err != nil || st.Running {
		t.Errorf("got %+v, %v", st, err)
	}
	b.ensure(m) // and starts anew
}

func TestAnotherVersionIsReplacedWhenIdle(t *testing.T) {
	b := newBed(t)
	b.ensure(b.manager("v1"))
	old := b.process(b.manager("v1"))
	m := b.manager("v2")
	b.ensure(m)
	p := b.process(m)
	if p.Version != "v2" || p.PID == old.PID || running(old.PID) {
		t.Errorf("before %+v, now %+v, old runs: %t", old, p, running(old.PID))
	}
}

func TestProgramOfAnotherVersionIsRefused(t *testing.T) {
	b := newBed(t)
	self, _ := os.Executable()
	_, err := b.manager("v2", daemon.WithProgram(self, "daemon-of-version=v1")).Ensure(t.Context())
	if !errors.Is(err, daemon.ErrStart) ||
		!strings.Contains(err.Error(), "install both from one release") {
		t.Errorf("got %v", err)
	}
}

func TestMissingProgram(t *testing.T) {
	b := newBed(t)
	path := b.env["PATH"]
	for _, missing := range []string{"runc", "git"} {
		b.env["PATH"] = pathWithout(t, path, missing)
		_, err := b.manager("v1").Ensure(t.Context())
		if !errors.Is(err, daemon.ErrMissingProgram) ||
			!strings.Contains(err.Error(), "apt-get install "+missing) ||
			!strings.Contains(err.Error(), "dnf install "+missing) {
			t.Errorf("%s: got %v", missing, err)
		}
	}
}

// pathWithout is a PATH with one folder that has links to all programs but one.
func pathWithout(t *testing.T, path, missing string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"runc", "git"} {
		if name == missing {
			continue
		}
		for _, d := range filepath.SplitList(path) {
			if _, err := os.Stat(filepath.Join(d, name)); err == nil {
				if err := os.Symlink(filepath.Join(d, name), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
	}
	return dir
}

func TestUnsafeRootIsRefused(t *testing.T) {
	b := newBed(t)
	if err := os.Mkdir(b.root, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(b.root, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := b.manager("v1").Ensure(t.Context()); !errors.Is(err, daemon.ErrUnsafe) {
		t.Errorf("open to all: got %v", err)
	}
	if err := errors.Join(os.Chmod(b.root, 0o700), os.Chown(b.root, 4711, 4711)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.manager("v1").Ensure(t.Context()); !errors.Is(err, daemon.ErrUnsafe) {
		t.Errorf("somebody else's: got %v", err)
	}
	_ = os.Chown(b.root, 0, 0)
}

func TestSocketIsInTheRuntimeFolderOrAShortOne(t *testing.T) {
	run := partstest.Dir(t) // removed after the daemon has ended
	b := newBed(t)
	b.env["XDG_RUNTIME_DIR"] = run
	if addr := b.ensure(b.manager("v1")); !strings.HasPrefix(addr,
		"unix://"+b.env["XDG_RUNTIME_DIR"]+"/pinion/") {
		t.Errorf("got %s", addr)
	}
	delete(b.env, "XDG_RUNTIME_DIR") // who has another environment finds it too
	b.ensure(b.manager("v1"))
	if n := len(daemonsOf(t, b.root)); n != 2 {
		t.Errorf("%d processes", n)
	}
	long := newBed(t)
	long.root = filepath.Join(long.root, strings.Repeat("x", 120))
	if addr := long.ensure(long.manager("v1")); len(strings.TrimPrefix(addr, "unix://")) > 103 {
		t.Errorf("got %s", addr)
	}
	if _, err := long.manager("v1").Stop(t.Context(), 0); err != nil {
		t.Error(err)
	}
}

// A runtime folder is removed when its user logs out.
func TestSocketThatIsRemovedComesBack(t *testing.T) {
	run := partstest.Dir(t)
	b := newBed(t)
	b.env["XDG_RUNTIME_DIR"] = run
	m := b.manager("v1")
	addr := b.ensure(m)
	pid := b.process(m).PID
	if err := os.Remove(strings.TrimPrefix(addr, "unix://")); err != nil {
		t.Fatal(err)
	}
	if again := b.ensure(m); again != addr || b.process(m).PID != pid {
		t.Errorf("got %s of %d, it was %s of %d", again, b.process(m).PID, addr, pid)
	}
	if err := os.RemoveAll(run); err != nil {
		t.Fatal(err)
	}
	if again := b.ensure(m); again != "unix://"+filepath.Join(b.root, "buildkitd.sock") ||
		b.process(m).PID != pid {
		t.Errorf("got %s of %d, it was %d", again, b.process(m).PID, pid)
	}
}

func TestLogs(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	if err := m.Logs(t.Context(), &strings.Builder{}, -1, false); !errors.Is(err,
		daemon.ErrNotRunning) {
		t.Errorf("before the first start: %v", err)
	}
	b.ensure(m)
	var text strings.Builder
	within(t, 10*time.Second, "the log says that it serves", func() bool {
		text.Reset()
		return m.Logs(t.Context(), &text, -1, false) == nil &&
			strings.Contains(text.String(), "serves")
	})
	text.Reset()
	if err := m.Logs(t.Context(), &text, 1, false); err != nil ||
		strings.Count(text.String(), "\n") != 1 {
		t.Errorf("got %q, %v", text.String(), err)
	}
}

func TestCredentialsStayOutOfItsEnvironment(t *testing.T) {
	b := newBed(t)
	b.env["MOLECULE_GITEA_TOKEN"], b.env["HTTPS_PROXY"] = "s3cr3t-canary", "http://127.0.0.1:9"
	m := b.manager("v1")
	b.ensure(m)
	for _, pid := range daemonsOf(t, b.root) {
		env, err := os.ReadFile(filepath.Join("/proc", pid, "environ"))
		if err != nil || strings.Contains(string(env), "s3cr3t") ||
			!strings.Contains(string(env), "HTTPS_PROXY=http://127.0.0.1:9") {
			t.Errorf("got %q, %v", env, err)
		}
	}
}

// What lies behind a mount that is in the way of the sweep is somebody's.
func TestSweepRemovesWhatABuildLeftAndNothingBehindAMount(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	b.ensure(m)
	if _, err := m.Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(b.root, "buildkit", "runc-overlayfs", "executor", "left")
	precious := filepath.Join(partstest.Dir(t), "file")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(bundle, "rootfs"), 0o700),
		os.WriteFile(filepath.Join(bundle, "config.json"), nil, 0o600),
		os.WriteFile(precious, nil, 0o600),
		os.WriteFile(filepath.Join(b.root, "tmp", "left"), nil, 0o600),
		syscall.Mount(filepath.Dir(precious), filepath.Join(bundle, "rootfs"), "", syscall.MS_BIND,
			""),
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(filepath.Join(bundle, "rootfs"), syscall.MNT_DETACH) })
	b.ensure(m)
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	for _, gone := range []string{bundle, filepath.Join(b.root, "tmp", "left")} {
		if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", gone, err)
		}
	}
}

// overlayfs cannot have its upper folder on an overlayfs.
func TestCopiesWhereOverlayDoesNotWork(t *testing.T) {
	b := newBed(t)
	dir := filepath.Dir(b.root)
	over := filepath.Join(dir, "merged")
	for _, d := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mount("overlay", over, "overlay", 0,
		"lowerdir="+dir+"/lower,upperdir="+dir+"/upper,workdir="+dir+"/work"); err != nil {
		t.Skipf("SKIPPED, NOTHING TESTED: no overlayfs here: %v", err)
	}
	b.root = filepath.Join(over, "r")
	m := b.manager("v1")
	t.Cleanup(func() {
		_, _ = m.Stop(context.Background(), 0)
		_ = syscall.Unmount(over, 0)
	})
	addr := b.ensure(m)
	if s := b.process(m).Snapshotter; s != "native" {
		t.Errorf("got %s", s)
	}
	build := b.solve(addr, newTemplate(t, "RUN echo x > /x"))
	if err := build.ends(t); err != nil {
		t.Error(err)
	}
}

func TestHungDaemonIsNamed(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	b.ensure(m)
	p := b.process(m)
	if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(p.PID, syscall.SIGCONT) })
	_, err := m.Status(t.Context())
	if !errors.Is(err, daemon.ErrHung) || !strings.Contains(err.Error(), strconv.Itoa(p.PID)) {
		t.Errorf("got %v", err)
	}
}

func TestSettingsSurviveTheCommandLine(t *testing.T) {
	want := daemon.Settings{Root: "/r", Socket: "/s", Idle: 3 * time.Minute, KeepStorage: 7,
		Config: "/c", Version: "v1", Stage: daemon.StageInit}
	if got, err := daemon.ParseArgs(want.Args()); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := daemon.ParseArgs(nil); err == nil {
		t.Error("by hand it starts nothing")
	}
}
