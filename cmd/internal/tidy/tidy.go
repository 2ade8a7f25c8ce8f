package tidy

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	units "github.com/docker/go-units"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
)

const (
	// checkEvery is the time between two looks at the disk.
	checkEvery = time.Minute
	// pause is the time until the next try for a disk that stays too full.
	pause = 10 * time.Minute
	// buildWait is how long a build waits for room.
	buildWait = 2 * time.Minute
	// maxRuns is how many runs are remembered.
	maxRuns = 20
)

// Orchestrator is the part of a [pinion.Orchestrator] that prunes.
type Orchestrator interface {
	Prune(ctx context.Context, opts pinion.PruneOptions) (pinion.PruneReport, error)
	Disk(ctx context.Context) (pinion.Disk, error)
}

// Config says what stays, and when to prune.
type Config struct {
	// Bounds apply at each interval. MaxDiskUse and DryRun are set by the Tidier.
	Bounds pinion.PruneOptions
	// Interval is the time between two prunes.
	Interval time.Duration
	// High is the part of the disk whose use causes a prune, and Low the part to which that prunes,
	// from 0 to 1. With 0 nothing looks at the disk.
	High, Low float64
	Log       *slog.Logger
}

// Tidier prunes. [New] makes one.
type Tidier struct {
	o Orchestrator
	c Config
	// busy has a value while a prune or a look at the disk is under way.
	busy      chan struct{}
	elsewhere sync.Once

	mu    sync.Mutex
	state server.PruneState // guarded by mu
	runs  []server.PruneRun // guarded by mu; the newest last
	full  time.Time         // when a prune left the disk too full; guarded by mu
}

// New returns a Tidier that has not begun.
func New(o Orchestrator, c Config) *Tidier {
	return &Tidier{o: o, c: c, busy: make(chan struct{}, 1)}
}

// Run prunes at once and at each interval, and looks at the disk in between, until ctx ends.
func (t *Tidier) Run(ctx context.Context) {
	check := min(checkEvery, t.c.Interval)
	for next := time.Now(); ctx.Err() == nil; {
		if !time.Now().Before(next) {
			t.prune(ctx)
			next = time.Now().Add(t.c.Interval)
		} else if t.c.High > 0 {
			t.makeRoom(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(check, time.Until(next))):
		}
	}
}

// BeforeBuild makes room if the disk is too full. It returns what it did, or "".
func (t *Tidier) BeforeBuild(ctx context.Context, _ string) (notice string) {
	if t.c.High == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, buildWait)
	defer cancel()
	return t.makeRoom(ctx)
}

// State returns what metrics show.
func (t *Tidier) State() server.PruneState {
	t.mu.Lock()
	defer t.mu.Unlock()
	state := t.state
	state.Past = slices.Clone(t.runs)
	slices.Reverse(state.Past)
	return state
}

// lock waits until no other prune is under way, and reports whether it is the caller's turn.
func (t *Tidier) lock(ctx context.Context) bool {
	select {
	case t.busy <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t *Tidier) unlock() { <-t.busy }

// prune applies all bounds. The disk's is Low only if High is exceeded.
func (t *Tidier) prune(ctx context.Context) {
	if !t.lock(ctx) {
		return
	}
	defer t.unlock()
	opts, cause := t.c.Bounds, "by number, age and size"
	d, tooFull := t.look(ctx)
	if tooFull {
		opts.MaxDiskUse, cause = t.c.Low, causeOf(d)
	}
	t.run(ctx, opts, cause)
	if tooFull {
		t.lookAgain(ctx)
	}
}

// makeRoom prunes if the disk is too full.
func (t *Tidier) makeRoom(ctx context.Context) (notice string) {
	if !t.lock(ctx) {
		return ""
	}
	defer t.unlock()
	d, tooFull := t.look(ctx)
	if !tooFull || t.isPaused() {
		return ""
	}
	opts := t.c.Bounds
	opts.MaxDiskUse = t.c.Low
	did := t.run(ctx, opts, causeOf(d))
	t.lookAgain(ctx)
	return did
}

func causeOf(d pinion.Disk) string {
	return fmt.Sprintf("%.0f%% of the disk of %s are in use", 100*d.Use(), d.Path)
}

// look measures the disk, and reports whether it is too full. A disk that cannot be measured is
// not.
func (t *Tidier) look(ctx context.Context) (d pinion.Disk, tooFull bool) {
	if t.c.High == 0 {
		return d, false
	}
	d, err := t.o.Disk(ctx)
	if err != nil {
		t.c.Log.Debug(fmt.Sprintf("prune: the disk cannot be measured: %v", err))
		return d, false
	}
	if !d.Images {
		t.elsewhere.Do(func() {
			t.c.Log.Warn(fmt.Sprintf("prune: the disk of the engine cannot be seen from here, so "+
				"only that of the cache folder %s is watched, and no image is removed because of "+
				"a full disk", d.Path))
		})
	}
	return d, d.Use() > t.c.High
}

// lookAgain warns of a disk that a prune left too full, and puts off the next try.
func (t *Tidier) lookAgain(ctx context.Context) {
	d, still := t.look(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !still {
		t.full = time.Time{}
		return
	}
	t.full = time.Now()
	t.c.Log.Warn(fmt.Sprintf("prune: %s still, and nothing more can be removed", causeOf(d)))
}

// isPaused reports whether a prune left the disk too full a short time ago.
func (t *Tidier) isPaused() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.full) < pause
}

// run prunes, logs what went and remembers it. It returns a text if something went.
func (t *Tidier) run(ctx context.Context, opts pinion.PruneOptions, cause string) (did string) {
	r := server.PruneRun{Started: time.Now(), Cause: cause, Images: []server.PrunedImage{}}
	report, err := t.o.Prune(ctx, opts)
	r.TookMS = time.Since(r.Started).Milliseconds()
	if err != nil {
		r.Error = err.Error()
		if ctx.Err() == nil {
			t.c.Log.Warn(fmt.Sprintf("prune (%s): %v", cause, err))
		}
	}
	for _, i := range report.Items {
		if i.Refused {
			t.c.Log.Warn(fmt.Sprintf("prune: %s stays: %s", i.Reference, i.Reason))
		}
		if i.Action != pinion.PruneRemoved {
			continue
		}
		r.Images = append(r.Images, server.PrunedImage{Name: i.Name, Reference: i.Reference,
			Size: i.Size, Reason: i.Reason})
		t.c.Log.Info(fmt.Sprintf("prune: removed %s of %s (%s): %s", i.Reference, i.Name,
			size(i.Size), i.Reason))
	}
	r.BuildCaches = len(report.BuildCache.Removed)
	r.Reclaimed = report.Reclaimed + report.BuildCache.Reclaimed
	if len(r.Images)+r.BuildCaches > 0 {
		did = fmt.Sprintf("pruned images (%d) and build caches (%d) of %s: %s", len(r.Images),
			r.BuildCaches, size(r.Reclaimed), cause)
		t.c.Log.Info(did)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Runs++
	if err != nil {
		t.state.Failures++
	}
	t.state.Images += int64(len(r.Images))
	t.state.Bytes += r.Reclaimed
	if did != "" || err != nil {
		t.runs = append(t.runs, r)
		t.runs = t.runs[max(len(t.runs)-maxRuns, 0):]
	}
	return did
}

func size(bytes int64) string { return units.HumanSizeWithPrecision(float64(bytes), 3) }
