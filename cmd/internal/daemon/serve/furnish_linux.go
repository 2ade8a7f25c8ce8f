package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// furnish makes the namespaces fit to live in, and sweeps up what a daemon left that was killed.
func furnish(s daemon.Settings) error {
	// What is mounted here is not seen outside; what is unmounted outside goes here too, so that we
	// hold no medium of anybody's.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("separate the mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC,
		""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// runc keeps the state of its containers there. Ours is nobody else's affair, and must not
	// outlive us.
	const runcState = "/run/runc"
	if err := os.MkdirAll(runcState, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", runcState, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV,
		"mode=0700"); err != nil {
		return fmt.Errorf("mount %s: %w", runcState, err)
	}
	if err := sweep(s); err != nil {
		return err
	}
	for _, dir := range []string{s.StateDir(), s.TempDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what builds left that did not end in good order: their bundles, their temporary
// files and their control groups. Their processes and mounts went with their namespaces; should
// anything be mounted below our state all the same, it is taken off before anything is removed, or
// what is behind it would be removed too.
func sweep(s daemon.Settings) error {
	if err := unmountBelow(s.StateDir(), s.TempDir()); err != nil {
		return err
	}
	bundles, err := filepath.Glob(filepath.Join(s.StateDir(), "runc-*", "executor", "*",
		"config.json"))
	if err != nil {
		return err
	}
	for _, b := range bundles {
		if err := os.RemoveAll(filepath.Dir(b)); err != nil {
			return err
		}
	}
	removeCgroups(cgroupParent(s.Root))
	return os.RemoveAll(s.TempDir())
}

// unmountBelow takes off what is mounted below the folders, not what they themselves may be.
func unmountBelow(dirs ...string) error {
	for _, dir := range dirs {
		actual, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(actual))
		if err != nil {
			return err
		}
		for _, m := range slices.Backward(mounts) { // the last one lies on top
			if m.Mountpoint == actual {
				continue
			}
			if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("unmount %s: %w", m.Mountpoint, err)
			}
		}
	}
	return nil
}
