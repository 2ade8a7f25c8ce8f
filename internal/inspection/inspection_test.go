package inspection_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/inspection"
)

// engine is a store that reports its changes.
type engine struct {
	*storetest.Memory
	change  string
	refuses error
	reports int
	// during, if set, is called in the middle of an inspection.
	during func()
}

func (e *engine) LastChange(context.Context) (string, error) {
	e.reports++
	return e.change, e.refuses
}

func (e *engine) Inspect(ctx context.Context, ref string) (imagestore.Image, error) {
	img, err := e.Memory.Inspect(ctx, ref)
	img.Kind = e.Kind
	if e.during != nil {
		e.during()
	}
	return img, err
}

// put gives an image the name, as the change says.
func (e *engine) put(id, change string) {
	e.Put(imagestore.Image{ID: id}, "ref")
	e.change = change
}

func newEngine(kind imagestore.Kind) *engine {
	e := &engine{Memory: storetest.NewMemory(kind)}
	e.put("sha256:a", "1")
	return e
}

func want(t *testing.T, s imagestore.Store, id string) {
	t.Helper()
	if img, err := s.Inspect(t.Context(), "ref"); err != nil || img.ID != id {
		t.Errorf("got %q, want %s; %v", img.ID, id, err)
	}
}

func TestAnInspectionIsRememberedUntilSomethingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, d := newEngine(imagestore.KindContainerd), inspection.NewDesk(true)
		s := d.At(e)
		for range 10 {
			want(t, s, "sha256:a")
		}
		// The first is made without asking for changes, and the second can be remembered.
		if e.Inspections() != 2 || e.reports != 9 {
			t.Errorf("%d inspections, %d questions for changes", e.Inspections(), e.reports)
		}
		e.put("sha256:b", "2")
		want(t, s, "sha256:b")
		want(t, s, "sha256:b")
		if e.Inspections() != 3 {
			t.Errorf("%d inspections after a change", e.Inspections())
		}
		delete(e.Tags, "ref")
		e.change = "3"
		if _, err := s.Inspect(t.Context(), "ref"); !errors.Is(err, imagestore.ErrNotFound) {
			t.Errorf("got %v for a name that is gone", err)
		}
		e.put("sha256:a", "4")
		want(t, s, "sha256:a")
		if got := d.Counts(); got != (inspection.Counts{Asked: 5, Remembered: 9}) {
			t.Errorf("got %+v", got)
		}
	})
}

// What the engine does not report is seen after two seconds.
func TestAnInspectionIsRememberedForTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, d := newEngine(imagestore.KindContainerd), inspection.NewDesk(true)
		s := d.At(e)
		want(t, s, "sha256:a")
		want(t, s, "sha256:a")
		e.put("sha256:b", "1") // the same change
		time.Sleep(2*time.Second - 1)
		want(t, s, "sha256:a")
		time.Sleep(time.Nanosecond)
		want(t, s, "sha256:b")
	})
}

func TestAChangeDuringAnInspection(t *testing.T) {
	e, d := newEngine(imagestore.KindContainerd), inspection.NewDesk(true)
	s := d.At(e)
	want(t, s, "sha256:a")
	e.during = func() { e.put("sha256:b", "2") }
	want(t, s, "sha256:a") // the change has not returned yet
	e.during = nil
	want(t, s, "sha256:b")
}

func TestWhatIsNotRemembered(t *testing.T) {
	for what, change := range map[string]func(*engine){
		"on the classic store":           func(e *engine) { e.Kind = imagestore.KindClassic },
		"without a known change":         func(e *engine) { e.change = "" },
		"of an engine that won't say":    func(e *engine) { e.refuses = errors.New("403") },
		"of an engine that is restarted": func(e *engine) { e.during = func() { e.change += "x" } },
	} {
		t.Run(what, func(t *testing.T) {
			e, d := newEngine(imagestore.KindContainerd), inspection.NewDesk(true)
			change(e)
			for range 5 {
				want(t, d.At(e), "sha256:a")
			}
			if e.Inspections() != 5 || d.Counts().Remembered != 0 {
				t.Errorf("%d inspections, %+v", e.Inspections(), d.Counts())
			}
			if e.Kind == imagestore.KindClassic && e.reports > 0 {
				t.Errorf("asked %d times for changes", e.reports)
			}
		})
	}
	t.Run("by default", func(t *testing.T) {
		e, d := newEngine(imagestore.KindContainerd), inspection.NewDesk(false)
		for range 5 {
			want(t, d.At(e), "sha256:a")
		}
		if e.Inspections() != 5 || e.reports != 0 {
			t.Errorf("%d inspections, %d questions for changes", e.Inspections(), e.reports)
		}
	})
	t.Run("in a folder", func(t *testing.T) {
		m := storetest.NewMemory(imagestore.KindOCI)
		if s := inspection.NewDesk(true).At(m); s != imagestore.Store(m) {
			t.Errorf("got %T", s)
		}
	})
}

// All callers of a moment need two inspections: the one under way, which may have begun too early
// for them, and one more.
func TestCallersOfAMomentShareAnInspection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, d := newEngine(imagestore.KindClassic), inspection.NewDesk(true)
		goOn := make(chan struct{})
		e.during = func() { <-goOn }
		const callers = 64
		done := make(chan error, callers)
		for range callers {
			go func() { _, err := d.At(e).Inspect(t.Context(), "ref"); done <- err }()
		}
		synctest.Wait()
		close(goOn)
		for range callers {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		c := d.Counts()
		if e.Inspections() > 2 || c.Asked+c.Shared != callers || c.Asked != int64(e.Inspections()) {
			t.Errorf("%d inspections, %+v", e.Inspections(), c)
		}
	})
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	e, d := newEngine(imagestore.KindContainerd), inspection.NewDesk(true)
	s := d.At(e)
	for i := range 1100 {
		ref := fmt.Sprintf("ref:%d", i)
		e.Put(imagestore.Image{ID: "sha256:a"}, ref)
		if _, err := s.Inspect(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		if n := d.Remembered(); n > 1024 {
			t.Fatalf("%d are remembered", n)
		}
	}
}
