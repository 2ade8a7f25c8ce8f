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

// setUpNamespaces prepares the mounts of the namespaces and removes the leftovers of a killed
// daemon.
func setUpNamespaces(s daemon.Settings) error {
	// Mounts made here are invisible outside. Unmounts outside also apply here, so that the daemon
	// does not keep other users' media busy.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC,
		""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// runc stores the state of its containers there. The daemon's must not be visible to others,
	// nor outlive it.
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

// sweep removes the leftovers of builds that were killed: bundles, temporary files and control
// groups. Their processes and mounts ended with their namespaces. sweep first unmounts what is
// still mounted below the state, so that it does not remove the files behind such a mount.
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

// unmountBelow unmounts what is mounted below the folders, but not the folders themselves.
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
		for _, m := range slices.Backward(mounts) { // the last one is on top
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
