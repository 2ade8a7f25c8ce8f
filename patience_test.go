package pinion

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestFault63_ASilentBuildIsNotEnded: a solve or an export may take a week without a word.
func TestFault63_ASilentBuildIsNotEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.builder.wait = func(ctx context.Context) error {
			select {
			case <-time.After(7 * 24 * time.Hour):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if img := w.ensure(t); img.Outcome != OutcomeBuilt {
			t.Errorf("%+v", img)
		}
	})
}
