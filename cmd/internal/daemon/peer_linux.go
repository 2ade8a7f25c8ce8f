package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// controlTimeout bounds a request to the control service, which is on this machine.
const controlTimeout = 5 * time.Second

// peer is a connection to a daemon.
type peer struct {
	socket string
	// pid of the listening process, from the kernel. A file with the PID could be stale.
	pid  int
	conn *grpc.ClientConn
}

// find connects to the daemon of the root. It returns nil if there is none. It refuses a socket
// that could be another user's, since clients send it the credential for a fetch.
func (m *Manager) find(ctx context.Context) (*peer, error) {
	address, err := os.ReadFile(m.file(fileAddress))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	socket := strings.TrimSpace(string(address))
	for _, dir := range []string{m.root, filepath.Dir(socket)} {
		if err := private(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, nil // a daemon that was killed left the address
		} else if err != nil {
			return nil, err
		}
	}
	return connect(ctx, socket)
}

func connect(ctx context.Context, socket string) (*peer, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
		return nil, nil // a daemon that was killed left the socket
	}
	if err != nil {
		return nil, err
	}
	pid, err := listenerPID(conn.(*net.UnixConn))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("socket %s: %w", socket, err)
	}
	dialed := make(chan net.Conn, 1)
	dialed <- conn
	client, err := grpc.NewClient("passthrough:///"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-dialed:
				return c, nil
			default:
				return nil, syscall.ECONNREFUSED // a broken connection is not replaced
			}
		}))
	if err != nil {
		conn.Close()
		return nil, err
	}
	client.Connect()
	return &peer{socket: socket, pid: pid, conn: client}, nil
}

// listenerPID returns the process at the other end, which must belong to the same user.
func listenerPID(conn *net.UnixConn) (pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	if int(cred.Uid) != os.Geteuid() {
		return 0, fmt.Errorf("%w: its process belongs to user %d", ErrUnsafe, cred.Uid)
	}
	return int(cred.Pid), nil
}

func (p *peer) close() {
	if p != nil {
		_ = p.conn.Close()
	}
}

func (p *peer) address() string { return "unix://" + p.socket }

func (p *peer) attach(ctx context.Context) (Report, error) {
	return ask[Report](ctx, p, methodAttach, struct{}{})
}

func (p *peer) report(ctx context.Context) (Report, error) {
	return ask[Report](ctx, p, methodReport, struct{}{})
}

func (p *peer) stop(ctx context.Context, req StopRequest) (StopReply, error) {
	return ask[StopReply](ctx, p, methodStop, req)
}

func ask[A any](ctx context.Context, p *peer, method string, q any) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	a, err := call[A](ctx, p.conn, method, q)
	if err != nil {
		err = fmt.Errorf("%w: process %d at %s: %w", ErrHung, p.pid, p.socket, err)
	}
	return a, err
}
