package history

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// Recorder writes the builds and hits of a process. [NewRecorder] makes one.
type Recorder struct {
	open    func() (*Dir, error)
	command string
	log     *slog.Logger
	warn    sync.Once

	writers sync.WaitGroup
	mu      sync.Mutex
	built   bool           // whether a build has ended; guarded by mu
	hits    map[hit]*Build // of a server, since the last Flush; guarded by mu
	batched bool
}

// hit is what hits have in common that are counted together.
type hit struct{ name, reference, image, askedBy string }

// RecorderOption adjusts a [Recorder].
type RecorderOption func(*Recorder)

// Batched counts hits in memory until [Recorder.Flush]. The default is to write each at once.
func Batched() RecorderOption { return func(r *Recorder) { r.batched = true } }

// NewRecorder returns a recorder for a process that runs the verb command. It calls open when there
// is something to write. What it cannot write costs one warning.
func NewRecorder(
	open func() (*Dir, error), command string, log *slog.Logger, opts ...RecorderOption,
) *Recorder {
	r := &Recorder{open: open, command: command, log: log, hits: map[hit]*Build{}}
	for _, o := range opts {
		o(r)
	}
	return r
}

// Run is the part of a [pinion.Build] that is recorded.
type Run interface {
	ID() string
	Status() pinion.BuildStatus
	Events(ctx context.Context, after int64) iter.Seq[pinion.Event]
	Done() <-chan struct{}
}

// Observe records a build until it ends, or a hit. It returns at once, as
// [pinion.WithBuildObserver] asks.
func (r *Recorder) Observe(b Run) {
	s := b.Status()
	if s.State == pinion.BuildDone {
		r.hit(s)
		return
	}
	r.writers.Go(func() { r.check(r.follow(b, s)) })
}

func (r *Recorder) check(err error) {
	if err != nil {
		r.warn.Do(func() {
			r.log.Warn(fmt.Sprintf("the history of builds has gaps from now on: %v", err))
		})
	}
}

func (r *Recorder) build(s pinion.BuildStatus) Build {
	return Build{BuildStatus: s, Command: r.command}
}

// follow writes the journal of a build, which begins with its status. If a write fails, it leaves
// out the rest and tries once more to say how the build ended.
func (r *Recorder) follow(b Run, s pinion.BuildStatus) (err error) {
	d, err := r.open()
	if err != nil {
		return err
	}
	j, err := d.newJournal(b.ID())
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, j.close())
		r.mu.Lock()
		r.built = true
		r.mu.Unlock()
	}()
	first := r.build(s)
	first.PID = os.Getpid()
	failed := j.write(line{Version: journalVersion, Build: &first})
	if failed == nil {
		failed = r.events(j, b, first)
	}
	<-b.Done()
	if failed != nil {
		if err := j.resume(); err != nil {
			return failed
		}
	}
	last := r.build(b.Status())
	return errors.Join(failed, j.write(line{Version: journalVersion, Build: &last}))
}

// events writes the events of a build, and its status when its state or builder has changed.
func (r *Recorder) events(j *journal, b Run, written Build) error {
	for e := range b.Events(context.Background(), 0) {
		if err := j.event(e); err != nil {
			return err
		}
		now := r.build(b.Status())
		now.PID = written.PID
		if now.IsRunning() && (now.State != written.State || now.Builder != written.Builder) {
			if err := j.write(line{Build: &now}); err != nil {
				return err
			}
			written = now
		}
	}
	return nil
}

func (r *Recorder) hit(s pinion.BuildStatus) {
	b := r.build(s)
	b.Hits = 1
	if !r.batched {
		r.check(r.addHits(context.Background(), []*Build{&b}, hitWait))
		return
	}
	key := hit{s.Name, s.Reference, s.Image.ID, s.AskedBy}
	r.mu.Lock()
	defer r.mu.Unlock()
	if before := r.hits[key]; before != nil {
		before.Hits++
		before.Ended, before.Image = b.Ended, b.Image
		return
	}
	if len(r.hits) < maxBatch {
		r.hits[key] = &b
	}
}

// maxBatch bounds the hits of different images and callers that wait for [Recorder.Flush].
const maxBatch = 1000

// Flush writes the hits that were counted, and takes in what has ended. It waits for no more than
// some seconds.
func (r *Recorder) Flush(ctx context.Context) {
	if wrote := r.flushHits(ctx); wrote || r.hasBuilt() {
		r.check(r.take(ctx))
	}
}

// flushHits writes the hits that were counted, and reports whether there were any. The end of ctx
// does not lose them.
func (r *Recorder) flushHits(ctx context.Context) bool {
	r.mu.Lock()
	batch := r.hits
	r.hits = map[hit]*Build{}
	r.mu.Unlock()
	hits := slices.Collect(maps.Values(batch))
	if len(hits) > 0 {
		r.check(r.addHits(context.WithoutCancel(ctx), hits, lockWait))
	}
	return len(hits) > 0
}

// hasBuilt reports whether a build has ended since the last call.
func (r *Recorder) hasBuilt() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	built := r.built
	r.built = false
	return built
}

func (r *Recorder) addHits(ctx context.Context, hits []*Build, wait time.Duration) error {
	d, err := r.open()
	if err != nil {
		return err
	}
	return d.addHits(ctx, hits, wait)
}

func (r *Recorder) take(ctx context.Context) error {
	d, err := r.open()
	if err != nil {
		return err
	}
	return d.Take(ctx)
}

// Close writes the hits, waits until the builds that have ended are written, and takes them in. It
// returns when ctx ends, or some seconds later.
func (r *Recorder) Close(ctx context.Context) {
	wrote := r.flushHits(ctx)
	written := make(chan struct{})
	go func() {
		r.writers.Wait()
		close(written)
	}()
	select {
	case <-written:
	case <-ctx.Done():
		return
	}
	if built := r.hasBuilt(); built || wrote && r.batched {
		r.check(r.take(ctx))
	}
}
