package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func (d *Dir) lockForTest() (func(), error) {
	return d.Lock(context.Background(), "sha256:01", longWait)
}

func wantTimeout(t *testing.T, d *Dir, wait time.Duration) {
	t.Helper()
	unlock, err := d.Lock(t.Context(), "sha256:01", wait)
	if err == nil {
		unlock()
	}
	var typed *Error
	if !errors.Is(err, ErrLockTimeout) || !errors.As(err, &typed) || typed.Op != "lock" {
		t.Errorf("lock: %v, want ErrLockTimeout in an *Error", err)
	}
}

func TestLock(t *testing.T) {
	d := openDir(t, t.TempDir())
	unlock, err := d.lockForTest()
	if err != nil {
		t.Fatal(err)
	}
	wantTimeout(t, d, 0)
	wantTimeout(t, d, 2*lockPoll)
	other, err := d.Lock(t.Context(), "sha256:02", 0)
	if err != nil {
		t.Errorf("another key's lock: %v", err)
	} else {
		other()
	}
	unlock()
	unlock() // a second call has no effect on the next holder:
	second, err := d.Lock(t.Context(), "sha256:01", 0)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	wantTimeout(t, d, 0)
	second()
}

func TestLockIsCancelled(t *testing.T) {
	d := openDir(t, t.TempDir())
	unlock, err := d.lockForTest()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := d.Lock(ctx, "sha256:01", longWait)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || errors.Is(err, ErrLockTimeout) {
		t.Errorf("lock: %v, want context.Canceled", err)
	}
	deadline, cancel := context.WithTimeout(t.Context(), lockPoll)
	defer cancel()
	if _, err := d.Lock(
		deadline, "sha256:01", longWait,
	); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrLockTimeout) {
		t.Errorf("lock: %v, want context.DeadlineExceeded", err)
	}
}

func TestFault46_GoroutinesExcludeEachOther(t *testing.T) {
	d := openDir(t, t.TempDir())
	// Atomic, because the race detector does not know what the kernel orders.
	var inside, builds atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			unlock, err := d.lockForTest()
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if inside.Add(1) != 1 {
				t.Error("two inside at once")
			}
			if got, _ := keys(t, d); got == "" {
				builds.Add(1)
				put(t, d, record("01"))
			}
			inside.Add(-1)
		})
	}
	wg.Wait()
	if builds.Load() != 1 {
		t.Errorf("%d builds, want 1", builds.Load())
	}
}
