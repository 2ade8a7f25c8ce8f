package server

import (
	"context"
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
// The socket has the mode 0660. Listen creates its folder, with the mode 0700, if it does not
// exist. A socket belongs to one server at a time: Listen replaces the socket of a dead server, and
// fails if another server is alive. A lock file beside the socket, which is never removed, decides
// between two servers that start together. Closing the listener removes the socket.
func Listen(address string) (net.Listener, error) {
	if err := CheckAddress(address); err != nil {
		return nil, err
	}
	scheme, at, _ := strings.Cut(address, "://")
	listen := listenUnix
	if scheme == "tcp" {
		listen = listenTCP
	}
	l, err := listen(at)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", address, err)
	}
	return l, nil
}

// CheckAddress returns an error if the address is not [Inherit] and has not the form that [Listen]
// needs.
func CheckAddress(address string) error {
	scheme, at, _ := strings.Cut(address, "://")
	switch {
	case address == Inherit:
		return nil
	case scheme == "unix" && filepath.IsAbs(at):
		if n := len(filepath.Clean(at) + newSuffix); n > maxSocketPath {
			return fmt.Errorf("listen at %s: the path is too long for a socket; it may have "+
				"%d bytes", address, maxSocketPath-len(newSuffix))
		}
		return nil
	case scheme == "tcp":
		_, port, err := net.SplitHostPort(at)
		if err == nil {
			_, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("listen at %q: the form is unix:///path, tcp://host:port or fd://",
		address)
}

func listenTCP(at string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", at)
}

const (
	socketMode = 0o660
	folderMode = 0o700
	// newSuffix is that of a socket's temporary name.
	newSuffix = ".new"
	// maxSocketPath is the length of the longest path that all systems take, in bytes.
	maxSocketPath = 103
	// dialTimeout bounds the check whether a program listens at an existing socket.
	dialTimeout = 5 * time.Second
)

// unixListener removes its socket and unlocks it when it is closed.
type unixListener struct {
	net.Listener
	path string
	lock *flock.Flock
}

// Addr implements net.Listener. The socket was renamed since it was made.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close implements net.Listener.
func (l *unixListener) Close() error {
	removed := os.Remove(l.path)
	if errors.Is(removed, fs.ErrNotExist) {
		removed = nil
	}
	return errors.Join(l.Listener.Close(), removed, l.lock.Unlock())
}

func listenUnix(path string) (net.Listener, error) {
	path = filepath.Clean(path)
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return nil, err
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		err = errors.New("another server uses it; stop that server, or choose another socket")
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

// bind creates the socket under a temporary name and renames it once its mode is set, so no client
// can connect before.
func bind(path string) (net.Listener, error) {
	if err := checkVacant(path); err != nil {
		return nil, err
	}
	tmp := path + newSuffix
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the name changes below
	err = os.Chmod(tmp, socketMode)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(tmp))
	}
	return l, nil
}

// checkVacant returns nil if the path does not exist, or is a socket at which no program listens.
func checkVacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("the file exists and is no socket")
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	c, err := dialer.DialContext(context.Background(), "unix", path)
	if err != nil {
		return nil // no program listens, or it does not answer
	}
	_ = c.Close()
	return errors.New("another program listens there; stop that program, or choose another socket")
}
