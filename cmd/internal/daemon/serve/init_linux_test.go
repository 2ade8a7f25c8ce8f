package serve

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// collect returns when unreferenced values have been collected and cleaned up.
func collect() {
	ended := make(chan struct{})
	runtime.AddCleanup(new(*int), func(ended chan struct{}) { close(ended) }, ended)
	runtime.GC()
	<-ended
}

// TestLockOutlivesGarbageCollection: the root stays locked while work is in progress.
func TestLockOutlivesGarbageCollection(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	done := errors.New("done")
	err := withLock(file, time.Second, func() error {
		for range 3 { // one collection may make further values unreferenced
			collect()
		}
		if got, err := flock.New(file).TryLock(); got || err != nil {
			t.Errorf("another process got the lock: %t, %v", got, err)
		}
		if err := withLock(file, time.Millisecond, func() error { return nil }); err == nil {
			t.Error("another process worked at the same time")
		}
		return done
	})
	if !errors.Is(err, done) {
		t.Errorf("error is %v", err)
	}
}
