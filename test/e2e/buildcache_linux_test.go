package e2e_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

// TestFault44_BuildCacheDisk: a disk that is full or read-only costs a warning.
func TestFault44_BuildCacheDisk(t *testing.T) {
	for _, c := range []struct {
		name    string
		flags   uintptr
		options string
		word    string
	}{
		{"full", 0, "size=64k", "no space left"},
		{"read-only", syscall.MS_RDONLY, "", "read-only file system"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, containerdStandalone)
			s.prepare(t, "RUN echo disk")
			dir := filepath.Join(s.cacheDir(), "buildkit")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(s.cacheDir(), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("none", dir, "tmpfs", c.flags, c.options); err != nil {
				t.Skipf("SKIPPED, NOTHING TESTED: cannot mount a tmpfs: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			})
			r := s.succeed(t, "ensure", runtime)
			wantWords(t, r.stderr, "the build cache was not saved", c.word)
			s.ensure(t, pinion.OutcomeHit)
		})
	}
}
