package history

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"sync"

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
	built   bool           // whether there are journals to take in; guarded by mu
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
	r.mu.Lock()
	r.built = true
	r.mu.Unlock()
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

// follow writes the journal of a build, which begins with its status.
func (r *Recorder) follow(b Run, s pinion.BuildStatus) (err error) {
	d, err := r.open()
	if err != nil {
		return err
	}
	j, err := d.newJournal(b.ID())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	first := r.build(s)
	first.PID = os.Getpid()
	if err := j.write(line{Version: journalVersion, Build: &first}); err != nil {
		return err
	}
	for e := range b.Events(context.Background(), 0) {
		if err := j.event(e); err != nil {
			return err
		}
	}
	<-b.Done()
	return j.end(r.build(b.Status()))
}

func (r *Recorder) hit(s pinion.BuildStatus) {
	b := r.build(s)
	b.Hits = 1
	if !r.batched {
		r.check(r.write(context.Background(), []*Build{&b}, false))
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

// maxBatch bounds the hits of different images that wait for [Recorder.Flush].
const maxBatch = 10_000

// Flush writes the hits that were counted, and takes in what has ended.
func (r *Recorder) Flush(ctx context.Context) {
	r.mu.Lock()
	batch, built := r.hits, r.built
	r.hits, r.built = map[hit]*Build{}, false
	r.mu.Unlock()
	var hits []*Build
	for _, b := range batch {
		hits = append(hits, b)
	}
	if built || len(hits) > 0 {
		r.check(r.write(ctx, hits, true))
	}
}

// write appends hits to the file of all processes, and takes in what has ended if that is wanted.
func (r *Recorder) write(ctx context.Context, hits []*Build, take bool) error {
	d, err := r.open()
	if err == nil && len(hits) > 0 {
		err = d.addHits(ctx, hits)
	}
	if err == nil && take {
		err = d.Take(ctx)
	}
	return err
}

// Close waits until the builds that have ended are written, or ctx ends, and flushes.
func (r *Recorder) Close(ctx context.Context) {
	written := make(chan struct{})
	go func() {
		r.writers.Wait()
		close(written)
	}()
	select {
	case <-written:
		r.Flush(ctx)
	case <-ctx.Done():
	}
}
