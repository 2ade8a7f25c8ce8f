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

// lookForSocket is how often the daemon looks whether its socket is there still.
const lookForSocket = time.Second

// door is where commands come in.
type door struct {
	serve    func(net.Listener) error
	settings daemon.Settings

	mu       sync.Mutex
	listener *net.UnixListener
	path     string
	closed   bool
}

// open listens at a path and tells commands of it.
func (d *door) open(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return net.ErrClosed
	}
	// The folder may have been removed, and made again by somebody else.
	if err := daemon.OwnFolder(filepath.Dir(path)); err != nil {
		return err
	}
	// We hold the root's lock, so whoever made it is gone.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(path, 0o600),
		writeAddress(d.settings.AddressFile(), path)); err != nil {
		l.Close()
		return err
	}
	if d.listener != nil {
		d.listener.SetUnlinkOnClose(false) // the path may be the new one's
		d.listener.Close()
	}
	d.listener, d.path = l, path
	go func() { _ = d.serve(l) }()
	return nil
}

// keepOpen listens anew when the socket is gone: runtime folders are removed at log-out, and /tmp
// is tidied up, while we live on and hold the root's lock.
func (d *door) keepOpen(ctx context.Context) {
	tick := time.NewTicker(lookForSocket)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := os.Lstat(d.path); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		err := d.open(d.settings.Socket)
		if err != nil {
			err = d.open(d.settings.OwnSocket())
		}
		bklog.L.Warnf("the socket was removed, listening at %s (%v)", d.path, err)
	}
}

func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.listener.Close()
}

// writeAddress tells commands where we listen. It appears whole.
func writeAddress(file, socket string) error {
	tmp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file))
	if err := os.WriteFile(tmp, []byte(socket+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}
