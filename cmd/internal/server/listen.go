package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Listen listens at unix:///path or tcp://host:port.
//
// A socket has the mode 0660, and its folder, if it is made here, 0700. One server has a socket at
// a time: that of a server that has died is replaced, that of one that lives is an error. A lock
// file beside it, which stays, settles who of two is first. Closing the listener removes the
// socket.
func Listen(address string) (net.Listener, error) {
	scheme, at, _ := strings.Cut(address, "://")
	switch {
	case scheme == "unix" && filepath.IsAbs(at):
		l, err := listenUnix(filepath.Clean(at))
		if err != nil {
			return nil, fmt.Errorf("listen at %s: %w", address, err)
		}
		return l, nil
	case scheme == "tcp" && at != "":
		l, err := net.Listen("tcp", at)
		if err != nil {
			return nil, fmt.Errorf("listen at %s: %w", address, err)
		}
		return l, nil
	}
	return nil, fmt.Errorf("listen at %q: write unix:///path or tcp://host:port", address)
}

const (
	socketMode = 0o660
	folderMode = 0o700
	// livesWithin bounds the wait for whoever may listen at a socket already.
	livesWithin = 5 * time.Second
)

// unixListener removes its socket and gives the lock back.
type unixListener struct {
	net.Listener
	path string
	lock *flock.Flock
}

// Close implements net.Listener.
func (l *unixListener) Close() error {
	removed := os.Remove(l.path)
	if errors.Is(removed, fs.ErrNotExist) {
		removed = nil
	}
	return errors.Join(l.Listener.Close(), removed, l.lock.Unlock())
}

func listenUnix(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return nil, err
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		err = errors.New("another server has it; end that one, or choose another socket")
	}
	if err != nil {
		return nil, err
	}
	l, err := bind(path)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return &unixListener{l, path, lock}, nil
}

// bind puts a new socket in place in one step, with its mode: nobody can connect before.
func bind(path string) (net.Listener, error) {
	if err := vacant(path); err != nil {
		return nil, err
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it goes by another name by then
	err = os.Chmod(fresh, socketMode)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(fresh))
	}
	return l, nil
}

// vacant says whether the path may be taken: there is nothing, or a socket where nobody listens.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is something that is no socket")
	}
	c, err := net.DialTimeout("unix", path, livesWithin)
	if err != nil {
		return nil // nobody, or nobody who answers
	}
	_ = c.Close()
	return errors.New("another program listens there; end that one, or choose another socket")
}
