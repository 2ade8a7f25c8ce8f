package serve

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// collect returns when what nobody refers to has been ended.
func collect() {
	ended := make(chan struct{})
	runtime.AddCleanup(new(*int), func(ended chan struct{}) { close(ended) }, ended)
	runtime.GC()
	<-ended
}

// TestLockOutlivesGarbageCollection: nobody else gets the root while somebody works on it.
func TestLockOutlivesGarbageCollection(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	done := errors.New("done")
	err := holding(file, time.Second, func() error {
		for range 3 { // what ends with one collection may let go of more, which the next one ends
			collect()
		}
		if got, err := flock.New(file).TryLock(); got || err != nil {
			t.Errorf("somebody else got the lock: %t, %v", got, err)
		}
		if err := holding(file, time.Millisecond, func() error { return nil }); err == nil {
			t.Error("somebody else worked meanwhile")
		}
		return done
	})
	if !errors.Is(err, done) {
		t.Errorf("error is %v", err)
	}
}
