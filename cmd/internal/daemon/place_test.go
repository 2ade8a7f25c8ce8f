//go:build linux

package daemon_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

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
		t.Errorf("of another user: got %v", err)
	}
	_ = os.Chown(b.root, 0, 0)
}

func TestSocketIsInTheRuntimeFolderOrAShortOne(t *testing.T) {
	run := partstest.Dir(t) // removed after the daemon has ended
	b := newBed(t)
	b.env["XDG_RUNTIME_DIR"] = run
	addr := b.ensure(b.manager("v1"))
	if !strings.HasPrefix(addr, "unix://"+b.env["XDG_RUNTIME_DIR"]+"/pinion/") {
		t.Errorf("got %s", addr)
	}
	delete(b.env, "XDG_RUNTIME_DIR") // a command with another environment finds it too
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

// The sweep must not remove the files behind a mount.
func TestSweepRemovesLeftoversButNothingBehindAMount(t *testing.T) {
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
		syscall.Mount(filepath.Dir(precious), filepath.Join(bundle, "rootfs"), "",
			syscall.MS_BIND, ""),
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

// The upper folder of an overlayfs cannot be on an overlayfs.
func TestSnapshotsAreCopiesWithoutOverlay(t *testing.T) {
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
	if err := build.wait(t); err != nil {
		t.Error(err)
	}
}

// TestOneManagerForSeveralBuilds is for the race detector: nothing is started where there is no
// runc.
func TestOneManagerForSeveralBuilds(t *testing.T) {
	m := daemon.New("v1", func(string) (string, bool) { return "", false },
		daemon.WithRoot(t.TempDir()+"/none/"))
	var builds sync.WaitGroup
	for range 2 {
		builds.Go(func() {
			if _, err := m.Ensure(t.Context()); err == nil {
				t.Error("something was started")
			}
		})
	}
	builds.Wait()
}
