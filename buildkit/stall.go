package buildkit

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// stallGuard cancels a Build in which nothing moves any more. It watches the fetch and the steps
// until the image is solved, and later on each layer while it is read. In between it sleeps:
// BuildKit's export tells nothing while it works, and neither does an engine that unpacks.
type stallGuard struct {
	after  time.Duration // 0: never
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	watched int // what has to move; 0: nothing
	state   map[digest.Digest]vertexState
	current map[statusKey]statusState
	// extracting are the layers that a worker unpacks, which it tells the begin and the end of and
	// nothing between.
	extracting map[statusKey]bool
	// running is what the last message said to be running, for the error.
	running string
}

// extractingPrefix is what BuildKit's worker calls the unpacking of a layer (cache/refs.go, v0.34).
const extractingPrefix = "extracting "

type vertexState struct{ started, completed, failed bool }

type statusState struct {
	current            int64
	started, completed bool
}

type statusKey struct {
	vertex digest.Digest
	id     string
}

func newStallGuard(after time.Duration, cancel context.CancelCauseFunc) *stallGuard {
	return &stallGuard{after: after, cancel: cancel, state: map[digest.Digest]vertexState{},
		current: map[statusKey]statusState{}, extracting: map[statusKey]bool{}}
}

// watch begins to want movement; the function that it returns ends that. Several may be watched at
// once, and any movement is good for all.
func (g *stallGuard) watch(stalled func() error) (done func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.after <= 0 {
		return func() {}
	}
	g.watched++
	if g.timer != nil {
		g.timer.Stop()
	}
	g.timer = time.AfterFunc(g.after, func() { g.expired(stalled) })
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.watched--; g.watched == 0 {
			g.timer.Stop()
		}
	})
}

func (g *stallGuard) expired(stalled func() error) {
	g.mu.Lock()
	busy := len(g.extracting) > 0
	if busy {
		g.timer.Reset(g.after)
	}
	g.mu.Unlock()
	if !busy {
		g.cancel(stalled())
	}
}

// moved is a sign of life.
func (g *stallGuard) moved() {
	g.mu.Lock()
	defer g.mu.Unlock()
	// A timer that has run out has cancelled the Build already.
	if g.watched > 0 && g.timer.Stop() {
		g.timer.Reset(g.after)
	}
}

// see looks for movement in a message: BuildKit repeats the state of a download many times a
// second, whether or not there is progress.
func (g *stallGuard) see(s *client.SolveStatus) {
	moved := len(s.Logs) > 0
	g.mu.Lock()
	for _, v := range s.Vertexes {
		now := vertexState{v.Started != nil, v.Completed != nil, v.Error != ""}
		if g.state[v.Digest] != now {
			g.state[v.Digest], moved = now, true
		}
		if now.started && !now.completed {
			g.running = v.Name
		}
		if now.completed || now.failed {
			maps.DeleteFunc(g.extracting, func(k statusKey, _ bool) bool {
				return k.vertex == v.Digest
			})
		}
	}
	for _, st := range s.Statuses {
		key, now := statusKey{st.Vertex, st.ID},
			statusState{st.Current, st.Started != nil, st.Completed != nil}
		if before, known := g.current[key]; !known || before != now {
			g.current[key], moved = now, true
		}
		switch {
		case !strings.HasPrefix(st.ID, extractingPrefix):
		case now.completed:
			delete(g.extracting, key)
		case now.started:
			g.extracting[key] = true
		}
	}
	g.mu.Unlock()
	if moved {
		g.moved()
	}
}

// stalledStep is the error of a fetch or a step.
func (g *stallGuard) stalledStep() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	where := "the builder has not begun"
	if g.running != "" {
		where = "the last step that ran is " + g.running
	}
	return &Error{Op: "solve", Kind: ErrStalled, Err: fmt.Errorf(
		"nothing moved for %s: %s; see what it waits for, or allow more time for a step that is "+
			"silent for long", g.after, where)}
}

// stalledDelivery is the error of a transfer.
func (g *stallGuard) stalledDelivery(of string) error {
	return &Error{Op: "deliver", Kind: ErrDelivery, Err: fmt.Errorf(
		"%w: no byte of %s moved for %s; look at the image store and at the way to the builder",
		ErrStalled, of, g.after)}
}

// blobs watches each blob from when it is opened until it is closed.
func (g *stallGuard) blobs(open openFunc) openFunc {
	return func(ctx context.Context, blob ocispecs.Descriptor) (io.ReadCloser, error) {
		r, err := open(ctx, blob)
		if err != nil {
			return nil, err
		}
		done := g.watch(func() error { return g.stalledDelivery(blob.Digest.String()) })
		return &watchedBlob{r, g, done}, nil
	}
}

type watchedBlob struct {
	io.ReadCloser
	guard *stallGuard
	done  func()
}

func (w *watchedBlob) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if n > 0 {
		w.guard.moved()
	}
	return n, err
}

// WriteTo implements io.WriterTo, so that the blob's own way of handing on its messages whole is
// kept.
func (w *watchedBlob) WriteTo(to io.Writer) (int64, error) {
	return io.Copy(movingWriter{to, w.guard}, w.ReadCloser)
}

func (w *watchedBlob) Close() error {
	w.done()
	return w.ReadCloser.Close()
}

// movingWriter tells the guard of each write.
type movingWriter struct {
	io.Writer
	guard *stallGuard
}

func (w movingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if n > 0 {
		w.guard.moved()
	}
	return n, err
}

// archive watches an archive from its first byte to its end.
func (g *stallGuard) archive(r io.Reader) io.Reader { return &watchedArchive{Reader: r, guard: g} }

type watchedArchive struct {
	io.Reader
	guard *stallGuard
	done  func()
}

func (w *watchedArchive) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 && w.done == nil {
		w.done = w.guard.watch(func() error { return w.guard.stalledDelivery("the image") })
	}
	switch {
	case w.done == nil:
	case err != nil:
		w.done()
	default:
		w.guard.moved()
	}
	return n, err
}
