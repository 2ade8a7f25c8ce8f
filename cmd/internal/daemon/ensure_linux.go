package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/flock"
)

// goneWithin is how long a daemon may take to end: the grace for its builds, and some time to close
// its databases.
const goneWithin = 45 * time.Second

// lookAgain is how often a command that waits for a daemon looks whether it can be used after all.
const lookAgain = 500 * time.Millisecond

// Ensure returns the address of a daemon that answers, in BuildKit's form (unix://...), and starts
// one if there is none. With one running it costs one request. Of callers that come at once, in
// however many processes, one starts it and the others wait.
//
// A daemon of another version is replaced if it builds nothing; else it is used once more, since
// BuildKit's API is the same, and a notice says so.
func (m *Manager) Ensure(ctx context.Context) (string, error) {
	addr, err := m.ensure(ctx)
	return addr, m.failed(ctx, "start", err)
}

// failed gives an error the package's type. Of a call that was cancelled only that is of interest.
func (m *Manager) failed(ctx context.Context, op string, err error) error {
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
	unlock, err := m.lock(ctx, fileStartLock, 2*goneWithin)
	if err != nil {
		return "", fmt.Errorf("wait for another command that starts it: %w", err)
	}
	defer unlock()
	if addr := m.usable(ctx); addr != "" {
		return addr, nil
	}
	if addr, err := m.retire(ctx); addr != "" || err != nil {
		return addr, err
	}
	addr, err := m.awaitEnd(ctx)
	if addr != "" || err != nil {
		return addr, err
	}
	return m.spawn(ctx)
}

// usable is the address of a daemon of our version that answers, or empty. Why it is not, those
// find out who hold the lock.
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

// retire asks a daemon of another version to end. If it builds something its address is returned.
func (m *Manager) retire(ctx context.Context) (string, error) {
	p, err := m.find(ctx)
	if p == nil || err != nil {
		return "", err
	}
	defer p.close()
	r, err := p.report(ctx)
	if err != nil || r.Stopping {
		return "", nil // it is about to end, or awaitEnd tells that it is not
	}
	reply, err := p.stop(ctx, StopRequest{IfIdle: true})
	if err != nil || reply.Stopping {
		return "", nil
	}
	m.notice(fmt.Sprintf("the managed BuildKit is of pinion %s and builds something (%d); it is "+
		"used once more, and replaced by %s when it is idle",
		r.Version, reply.ActiveBuilds, m.version))
	return p.address(), nil
}

// awaitEnd returns when no daemon works on the root any more. One whose socket was removed makes
// another, and its address is returned then.
func (m *Manager) awaitEnd(ctx context.Context) (string, error) {
	giveUp := time.Now().Add(goneWithin)
	for time.Now().Before(giveUp) {
		unlock, err := m.lock(ctx, fileDaemonLock, lookAgain)
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
	return "",
		fmt.Errorf(
			"%w and does not end; end %s by `kill -9` and ask again: nothing is lost by that",
			ErrHung, pid,
		)
}

// lock takes a file lock. The kernel gives it back when its holder ends, however that happens.
func (m *Manager) lock(ctx context.Context, name string,
	wait time.Duration) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	l := flock.New(m.file(name), flock.SetPermissions(0o600))
	if _, err := l.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return nil, err
	}
	return func() { _ = l.Unlock() }, nil
}
