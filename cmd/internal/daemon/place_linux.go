package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocket is the longest path of a socket that every Unix accepts: 104 bytes with the terminating
// NUL.
const maxSocket = 103

// locate checks that there is a place for the root, without creating it.
func (m *Manager) locate() error {
	if !filepath.IsAbs(m.root) {
		return fmt.Errorf("no folder for its state: set HOME, or set PINION_BUILDKIT_ROOT to an "+
			"absolute path (it is %q)", m.root)
	}
	return nil
}

// prepare creates the root, accessible to this user alone.
func (m *Manager) prepare() error {
	const mode = 0o755 // the parents are not private
	if err := os.MkdirAll(filepath.Dir(m.root), mode); err != nil {
		return err
	}
	return OwnFolder(m.root)
}

// socketPath chooses the daemon's socket: in the user's runtime folder, in the root, or in a folder
// in /tmp, whichever comes first with a path that is short enough. Commands find it by the file
// "address" in the root, so their environments may differ.
func (m *Manager) socketPath() (string, error) {
	id := sha256.Sum256([]byte(m.root))
	name := "b-" + hex.EncodeToString(id[:4]) + ".sock"
	if run := m.get("XDG_RUNTIME_DIR"); filepath.IsAbs(run) && ours(run) == nil {
		if path := filepath.Join(run, "pinion", name); len(path) <= maxSocket {
			return path, OwnFolder(filepath.Dir(path))
		}
	}
	if path := m.file(fileSocket); len(path) <= maxSocket {
		return path, nil
	}
	dir := fmt.Sprintf("/tmp/pinion-%d", os.Geteuid())
	return filepath.Join(dir, name), OwnFolder(dir)
}

// OwnFolder creates a folder that only this user can access. An existing folder must be so already,
// since any user can create one in /tmp. The error is ErrUnsafe or the system's.
func OwnFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return private(dir)
}

// private checks that only this user can access a folder.
func private(dir string) error {
	if err := ours(dir); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%w: other users have access to %s (%s); run `chmod 700 %s`",
			ErrUnsafe, dir, info.Mode().Perm(), dir)
	}
	return err
}

// ours checks that dir is a folder, not a link, and belongs to this user.
func ours(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a folder", ErrUnsafe, dir)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to another user", ErrUnsafe, dir)
	}
	return nil
}
