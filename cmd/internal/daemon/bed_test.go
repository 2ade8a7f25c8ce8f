//go:build linux

package daemon_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// bed is a state root for one test. Its cleanup stops the daemon.
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
		if leftovers := daemonsOf(t, b.root); len(leftovers) > 0 {
			t.Errorf("processes %q are left", leftovers)
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
		b.t.Fatal("it is not running")
	}
	return st.Process
}

// within polls for a condition that causes no event.
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

// stopped reports whether all threads of a process are stopped (proc(5): state T in stat).
func stopped(pid int) bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		if _, state, _ := bytes.Cut(stat, []byte(") ")); !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return len(stats) > 0
}
