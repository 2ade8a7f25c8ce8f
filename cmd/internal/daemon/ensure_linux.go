package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/flock"
)

// exitTimeout bounds the exit of a daemon: the grace for its builds, and the time to close its
// databases.
const exitTimeout = 45 * time.Second

// pollInterval is the time between two checks of a command that waits for a daemon to end whether
// the daemon is usable after all.
const pollInterval = 500 * time.Millisecond

// Ensure returns the address of a daemon that responds, in BuildKit's form (unix://...). It starts
// a daemon if none is running; otherwise it costs one request. Of several concurrent callers, in
// any number of processes, one starts the daemon and the others wait.
//
// A daemon of another version is replaced if it has no running builds. Otherwise it is used once
// more, since BuildKit's API is compatible, and Ensure sends a notice.
func (m *Manager) Ensure(ctx context.Context) (string, error) {
	addr, err := m.ensure(ctx)
	return addr, m.wrap(ctx, "start", err)
}

// wrap wraps an error in the package's type. If ctx has ended, it returns the cause of that.
func (m *Manager) wrap(ctx context.Context, op string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return &Error{Op: op, Err: err}
}

func (m *Manager) ensure(ctx context.Context) (string, error) {
	if err := m.locate(); err != nil {
		return "", err
	}
	if addr := m.usable(ctx); addr != "" {
		return addr, nil
	}
	if err := m.preflight(); err != nil {
		return "", err
	}
	if err := m.prepare(); err != nil {
		return "", err
	}
	unlock, err := m.lock(ctx, fileStartLock, 2*exitTimeout)
	if err != nil {
		return "", fmt.Errorf("wait for the command that is starting it: %w", err)
	}
	defer unlock()
	if addr := m.usable(ctx); addr != "" {
		return addr, nil
	}
	if addr, err := m.retire(ctx); addr != "" || err != nil {
		return addr, err
	}
	addr, err := m.awaitExit(ctx)
	if addr != "" || err != nil {
		return addr, err
	}
	return m.spawn(ctx)
}

// usable returns the address of a daemon of this version that responds, or "". It ignores errors: a
// caller that holds the lock reports them.
func (m *Manager) usable(ctx context.Context) string {
	p, err := m.find(ctx)
	if p == nil || err != nil {
		return ""
	}
	defer p.close()
	r, err := p.attach(ctx)
	if err != nil || r.Stopping || r.Version != m.version {
		return ""
	}
	return p.address()
}

// retire asks a daemon of another version to exit. If it has running builds, retire returns its
// address.
func (m *Manager) retire(ctx context.Context) (string, error) {
	p, err := m.find(ctx)
	if p == nil || err != nil {
		return "", err
	}
	defer p.close()
	r, err := p.report(ctx)
	if err != nil || r.Stopping {
		return "", nil // it is exiting; otherwise awaitExit reports that it hangs
	}
	reply, err := p.stop(ctx, StopRequest{IfIdle: true})
	if err != nil || reply.Stopping {
		return "", nil
	}
	m.notice(fmt.Sprintf("the managed BuildKit is of pinion %s and has running builds (%d); it is "+
		"used once more, and replaced by %s when it is idle",
		r.Version, reply.ActiveBuilds, m.version))
	return p.address(), nil
}

// awaitExit returns when no daemon works on the root. A daemon whose socket was removed creates
// another one; awaitExit then returns its address.
func (m *Manager) awaitExit(ctx context.Context) (string, error) {
	deadline := time.Now().Add(exitTimeout)
	for time.Now().Before(deadline) {
		unlock, err := m.lock(ctx, fileDaemonLock, pollInterval)
		if err == nil {
			unlock()
			return "", nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return "", err
		}
		if addr := m.usable(ctx); addr != "" {
			return addr, nil
		}
	}
	pid := "its process"
	if p, _ := m.find(ctx); p != nil {
		defer p.close()
		pid = fmt.Sprintf("process %d", p.pid)
	}
	return "", fmt.Errorf(
		"%w and does not exit; end %s with `kill -9` and retry: no data is lost", ErrHung, pid)
}

// lock takes a file lock. The kernel releases it when the process of its holder ends.
func (m *Manager) lock(
	ctx context.Context, name string, wait time.Duration,
) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	l := flock.New(m.file(name), flock.SetPermissions(0o600))
	if _, err := l.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return nil, err
	}
	return func() { _ = l.Unlock() }, nil
}
