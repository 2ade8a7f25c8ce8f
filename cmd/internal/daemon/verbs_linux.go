package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/moby/buildkit/client"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// Status describes the daemon. It does not start one.
func (m *Manager) Status(ctx context.Context) (Status, error) {
	st, err := m.status(ctx)
	return st, m.wrap(ctx, "status", err)
}

func (m *Manager) status(ctx context.Context) (Status, error) {
	if err := m.locate(); err != nil {
		return Status{}, err
	}
	st := Status{Root: m.root, Log: m.file(fileLog)}
	p, err := m.find(ctx)
	if p == nil || err != nil {
		return st, err
	}
	defer p.close()
	r, err := p.report(ctx)
	if err != nil {
		return st, err
	}
	used, err := diskUsage(ctx, p.address())
	if err != nil && !r.Stopping {
		return st, err
	}
	st.Running, st.Process = true, newProcess(p.pid, p.address(), r, used)
	return st, nil
}

func diskUsage(ctx context.Context, addr string) (sum int64, err error) {
	c, err := client.New(ctx, addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	entries, err := c.DiskUsage(ctx)
	for _, e := range entries {
		sum += e.Size
	}
	return sum, err
}

// Stop shuts the daemon down. The daemon refuses new builds immediately, gives running builds the
// grace to end, and cancels the rest. Stop returns when the daemon has exited, and false if none
// was running.
func (m *Manager) Stop(ctx context.Context, grace time.Duration) (bool, error) {
	stopped, err := m.stop(ctx, grace)
	return stopped, m.wrap(ctx, "stop", err)
}

func (m *Manager) stop(ctx context.Context, grace time.Duration) (bool, error) {
	if err := m.locate(); err != nil {
		return false, err
	}
	p, err := m.find(ctx)
	if p == nil || err != nil {
		return false, err
	}
	defer p.close()
	// A daemon that is exiting may not send its reply.
	if _, err := p.stop(ctx, StopRequest{Grace: grace}); err != nil &&
		grpcstatus.Code(err) != codes.Unavailable {
		return false, err
	}
	unlock, err := m.lock(ctx, fileDaemonLock, grace+exitTimeout)
	if err != nil {
		return false, errors.Join(ErrHung, err)
	}
	unlock()
	return true, nil
}

// Prune removes build cache that no build uses, and returns its size in bytes. It starts a daemon
// if none is running, since only a daemon may change the state.
func (m *Manager) Prune(ctx context.Context, what Prune) (int64, error) {
	freed, err := m.prune(ctx, what)
	return freed, m.wrap(ctx, "prune", err)
}

func (m *Manager) prune(ctx context.Context, what Prune) (freed int64, err error) {
	addr, err := m.ensure(ctx)
	if err != nil {
		return 0, err
	}
	c, err := client.New(ctx, addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	removed := make(chan client.UsageInfo)
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		for u := range removed {
			freed += u.Size
		}
	}()
	opts := []client.PruneOption{client.WithKeepOpt(what.OlderThan, 0, what.KeepStorage, 0)}
	if what.All {
		opts = append(opts, client.PruneAll)
	}
	err = c.Prune(ctx, removed, opts...)
	close(removed)
	<-counted
	return freed, err
}
