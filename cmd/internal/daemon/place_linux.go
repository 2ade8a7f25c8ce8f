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

// maxSocket is the longest path of a socket that every Unix takes: 104 bytes with the NUL at its
// end.
const maxSocket = 103

// locate settles the root, without making it.
func (m *Manager) locate() error {
	if m.root == "" {
		m.root = m.defaultRoot()
	}
	if !filepath.IsAbs(m.root) {
		return fmt.Errorf("there is no folder for its state: set HOME, or name one by "+
			"PINION_BUILDKIT_ROOT as an absolute path (it is %q)", m.root)
	}
	m.root = filepath.Clean(m.root)
	return nil
}

func (m *Manager) defaultRoot() string {
	if os.Geteuid() == 0 {
		return "/var/lib/pinion"
	}
	if data := m.get("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "pinion")
	}
	if home := m.get("HOME"); home != "" {
		return filepath.Join(home, ".local", "share", "pinion")
	}
	return ""
}

// prepare makes the root, which nobody else may look into.
func (m *Manager) prepare() error {
	// the folders above it, as others would make them
	if err := os.MkdirAll(filepath.Dir(m.root), 0o755); err != nil { //nolint:gosec
		return err
	}
	return OwnFolder(m.root)
}

// socketPath chooses where the daemon listens: the user's runtime folder, the root, or a folder in
// /tmp, the first whose path is short enough. Commands find it by the file "address" in the root,
// so it does not matter if their environments differ.
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

// OwnFolder makes a folder for this user alone. One that is there must be that already: in /tmp
// anybody can have made it. The error is ErrUnsafe or the system's.
func OwnFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return private(dir)
}

// private checks that nobody but this user can do anything in a folder.
func private(dir string) error {
	if err := ours(dir); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%w: others have rights on %s (%s); take them away by `chmod 700 %s`",
			ErrUnsafe, dir, info.Mode().Perm(), dir)
	}
	return err
}

// ours checks that it is a folder, no link, and of this user.
func ours(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a folder", ErrUnsafe, dir)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: %s belongs to somebody else", ErrUnsafe, dir)
	}
	return nil
}
