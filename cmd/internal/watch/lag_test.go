package watch

import (
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// lag returns for how long a template is behind its head.
func (w *world) lag(name string) time.Duration {
	since, ok := w.State().Behind[name]
	switch {
	case !ok:
		return -1
	case since.IsZero():
		return 0
	}
	return time.Since(since)
}

func TestLag(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		if got := w.lag("one"); got != -1 {
			t.Errorf("before it is followed: %s", got)
		}
		w.Follow("one")
		pass(10 * time.Second)
		if got := w.lag("one"); got < 9*time.Second || got > 10*time.Second {
			t.Errorf("while the first is built: %s", got)
		}
		w.built()[0].end(nil)
		pass(5 * time.Second)
		if got := w.lag("one"); got != 0 {
			t.Errorf("when it is built: %s", got)
		}
		w.push(2)
		w.Pushed("acme/templates", "refs/heads/main", time.Time{})
		pass(20 * time.Second)
		w.built()[1].end(&pinion.Failure{Class: pinion.ClassNoBuilder})
		pass(20 * time.Second)
		if got := w.lag("one"); got < 39*time.Second || got > 40*time.Second {
			t.Errorf("while there is no builder: %s", got)
		}
		pass(2 * time.Hour) // it is tried again
		for _, b := range w.built()[2:] {
			select {
			case <-b.done:
			default:
				b.end(&pinion.Failure{Class: pinion.ClassBuild})
			}
		}
		pass(5 * time.Minute)
		if got := w.lag("one"); got != 0 {
			t.Errorf("when it is not tried again: %s", got)
		}
	})
}
