package tidy_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/tidy"
)

// fake is a disk of 100 bytes with images of 10.
type fake struct {
	mu        sync.Mutex
	used      int64 // by others
	images    int
	must      int // images that stay
	elsewhere bool
	failed    error // of Prune
	measured  error // of Disk
	looks     int
	calls     []pinion.PruneOptions
	// hold, if set, delays a prune until it is closed.
	hold         chan struct{}
	atOnce, most int
}

func (f *fake) Disk(context.Context) (pinion.Disk, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	return f.disk(), f.measured
}

func (f *fake) disk() pinion.Disk {
	return pinion.Disk{Path: "/x", Images: !f.elsewhere, Total: 100,
		Free: 100 - f.used - 10*int64(f.images)}
}

func (f *fake) Prune(
	ctx context.Context, opts pinion.PruneOptions,
) (r pinion.PruneReport, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, opts)
	f.atOnce++
	f.most = max(f.most, f.atOnce)
	defer func() { f.atOnce-- }()
	if f.hold != nil {
		f.mu.Unlock()
		select {
		case <-f.hold:
		case <-ctx.Done():
			err = ctx.Err()
		}
		f.mu.Lock()
	}
	if err != nil || f.failed != nil {
		return r, errors.Join(err, f.failed)
	}
	for opts.MaxDiskUse > 0 && f.images > f.must && f.disk().Use() > opts.MaxDiskUse {
		f.images--
		r.Items = append(r.Items, pinion.PruneItem{Built: pinion.Built{Name: "one",
			Reference: "molecule-local/one:1", Size: 10}, Action: pinion.PruneRemoved,
			Reason: "its disk is too full", Reclaimed: 10})
		r.Reclaimed += 10
	}
	r.Items = append(r.Items, pinion.PruneItem{Action: pinion.PruneKept})
	if opts.Keep == 7 {
		r.BuildCache = pinion.BuildCacheReport{Removed: []cache.Entry{{}}, Reclaimed: 5}
	}
	return r, nil
}

func (f *fake) fill(used int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used = used
}

func (f *fake) pruned() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

func start(f *fake, c tidy.Config) (*tidy.Tidier, *strings.Builder) {
	log := &strings.Builder{}
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	return tidy.New(f, c), log
}

// after waits for a time and for all that happens at its end.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// run runs the Tidier until the test ends.
func run(t *testing.T, tidier *tidy.Tidier) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); tidier.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func TestAtIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{images: 9}
		tidier, log := start(f, tidy.Config{Bounds: pinion.PruneOptions{Keep: 7},
			Interval: time.Hour})
		run(t, tidier)
		after(150 * time.Minute)
		if f.pruned() != 3 || f.calls[2] != (pinion.PruneOptions{Keep: 7}) || f.looks != 0 {
			t.Errorf("prunes with %+v, %d looks at the disk", f.calls, f.looks)
		}
		if s := tidier.State(); s.Runs != 3 || s.Failures != 0 || s.Images != 0 || s.Bytes != 15 {
			t.Errorf("%+v", s)
		}
		if !strings.Contains(log.String(), "build caches (1) of 5B: by number, age and size") {
			t.Error(log)
		}
		f.mu.Lock()
		f.failed = errors.New("the engine is gone")
		f.mu.Unlock()
		after(time.Hour)
		if s := tidier.State(); s.Failures != 1 || len(s.Past) != 4 ||
			s.Past[0].Error != "the engine is gone" || s.Past[3].Error != "" ||
			!strings.Contains(log.String(), "the engine is gone") {
			t.Errorf("%+v\n%s", s, log)
		}
	})
}

// TestTheDiskFillsUp: between two prunes the disk is looked at, and images go down to the low mark.
func TestTheDiskFillsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{images: 5, must: 1}
		tidier, log := start(f, tidy.Config{Interval: time.Hour, High: 0.9, Low: 0.7})
		run(t, tidier)
		f.fill(40)
		after(10 * time.Minute)
		if f.pruned() != 1 || f.images != 5 {
			t.Errorf("at the high mark: %d prunes, %d images", f.pruned(), f.images)
		}
		f.fill(45)
		after(2 * time.Minute)
		if f.pruned() != 2 || f.images != 2 || f.calls[1].MaxDiskUse != 0.7 {
			t.Errorf("above it: %+v, %d images", f.calls, f.images)
		}
		for _, text := range []string{"removed molecule-local/one:1 of one (10B): its disk is " +
			"too full", "pruned images (3) and build caches (0) of 30B: 95% of the disk of /x"} {
			if !strings.Contains(log.String(), text) {
				t.Errorf("the log lacks %q:\n%s", text, log)
			}
		}
		if s := tidier.State(); s.Images != 3 || s.Bytes != 30 {
			t.Errorf("%+v", s)
		}
	})
}

// TestNothingMoreCanGo: a disk that others fill is no reason to prune all the time.
func TestNothingMoreCanGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{images: 2, must: 1, used: 95}
		tidier, log := start(f, tidy.Config{Interval: 24 * time.Hour, High: 0.9, Low: 0.7})
		run(t, tidier)
		after(35 * time.Minute)
		for range 3 {
			tidier.BeforeBuild(t.Context(), "one")
		}
		if n := f.pruned(); n != 4 || f.images != 1 {
			t.Errorf("%d prunes in 35 minutes, %d images", n, f.images)
		}
		if !strings.Contains(log.String(), "nothing more can be removed") {
			t.Error(log)
		}
	})
}

// TestTheDiskIsElsewhere: that is said once.
func TestTheDiskIsElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{elsewhere: true}
		tidier, log := start(f, tidy.Config{Interval: time.Hour, High: 0.9, Low: 0.7})
		run(t, tidier)
		after(3 * time.Hour)
		if n := strings.Count(log.String(), "cannot be seen from here"); n != 1 {
			t.Errorf("said %d times:\n%s", n, log)
		}
	})
}

func TestBeforeBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{images: 5, must: 1, used: 45}
		off, _ := start(f, tidy.Config{Interval: time.Hour})
		if text := off.BeforeBuild(t.Context(), "one"); text != "" || f.looks != 0 {
			t.Errorf("without marks: %q, %d looks", text, f.looks)
		}
		tidier, _ := start(f, tidy.Config{Interval: time.Hour, High: 0.9, Low: 0.7})
		want := "pruned images (3) and build caches (0) of 30B: 95% of the disk of /x are in use"
		if text := tidier.BeforeBuild(t.Context(), "one"); text != want {
			t.Errorf("%q", text)
		}
		if text := tidier.BeforeBuild(t.Context(), "one"); text != "" || f.pruned() != 1 {
			t.Errorf("with enough room: %q, %d prunes", text, f.pruned())
		}
		f.measured = errors.New("no answer")
		f.fill(95)
		if text := tidier.BeforeBuild(t.Context(), "one"); text != "" || f.pruned() != 1 {
			t.Errorf("without a measure: %q, %d prunes", text, f.pruned())
		}
	})
}

// TestBuildsWaitTogether: several builds cause one prune, and none waits for it for long.
func TestBuildsWaitTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{images: 5, must: 1, used: 45, hold: make(chan struct{})}
		tidier, _ := start(f, tidy.Config{Interval: time.Hour, High: 0.9, Low: 0.7})
		begun := time.Now()
		var builds sync.WaitGroup
		for range 4 {
			builds.Go(func() { tidier.BeforeBuild(t.Context(), "one") })
		}
		builds.Wait()
		if took := time.Since(begun); took > 3*time.Minute || f.most != 1 {
			t.Errorf("they waited for %s, with %d prunes at once", took, f.most)
		}
	})
}
