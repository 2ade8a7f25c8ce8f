//go:build linux

package daemon_test

import (
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
)

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
		t.Errorf("it is in the test's own session %d (%v)", sid, err)
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
	shared := b.manager("v1") // as by the builds of one command
	var all sync.WaitGroup
	for i := range addrs {
		all.Go(func() {
			m := shared
			if i%2 == 0 {
				m = b.manager("v1") // as by another process
			}
			addr, err := m.Ensure(t.Context())
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
	b.ensure(m) // starts another
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

// pathWithout returns a PATH of one folder, with links to all programs but one.
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

func TestLogs(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	if err := m.Logs(
		t.Context(), &strings.Builder{}, -1, false,
	); !errors.Is(err, daemon.ErrNotRunning) {
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

func TestHungDaemonIsReported(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	b.ensure(m)
	p := b.process(m)
	if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(p.PID, syscall.SIGCONT) })
	within(t, 10*time.Second, "all its threads are stopped", func() bool { return stopped(p.PID) })
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
		t.Error("it can be started by hand")
	}
}
