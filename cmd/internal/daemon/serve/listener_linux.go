package serve

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/buildkit/util/bklog"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// socketInterval is the time between two checks whether the socket still exists.
const socketInterval = time.Second

// listener is the daemon's socket.
type listener struct {
	serve    func(net.Listener) error
	settings daemon.Settings

	mu      sync.Mutex
	current *net.UnixListener
	path    string
	closed  bool
}

// open listens at a path and publishes it for commands.
func (l *listener) open(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	// The folder may have been removed, and created again by another user.
	if err := daemon.OwnFolder(filepath.Dir(path)); err != nil {
		return err
	}
	// The root is locked, so the owner of an existing socket is dead.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(path, 0o600),
		writeAddress(l.settings.AddressFile(), path)); err != nil {
		next.Close()
		return err
	}
	if l.current != nil {
		l.current.SetUnlinkOnClose(false) // both may have the same path
		l.current.Close()
	}
	l.current, l.path = next, path
	go func() { _ = l.serve(next) }()
	return nil
}

// keepOpen listens again when the socket has been removed: runtime folders are removed at log-out
// and /tmp is cleaned, while the daemon continues and holds the root's lock.
func (l *listener) keepOpen(ctx context.Context) {
	tick := time.NewTicker(socketInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := os.Lstat(l.path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		err := l.open(l.settings.Socket)
		if err != nil {
			err = l.open(l.settings.OwnSocket())
		}
		bklog.L.Warnf("the socket was removed; listening at %s (%v)", l.path, err)
	}
}

func (l *listener) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.current.Close()
}

// writeAddress writes the socket's path to a file for commands, atomically.
func writeAddress(file, socket string) error {
	tmp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file))
	if err := os.WriteFile(tmp, []byte(socket+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}
