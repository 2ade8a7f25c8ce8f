package buildkit

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

func watched(t *testing.T) (*watchdog, context.Context) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return newWatchdog(time.Minute, cancel), ctx
}

// TestFault63_WhatMoves: a change of state, a line or a byte of a download is progress; a
// repetition is not.
func TestFault63_WhatMoves(t *testing.T) {
	now := time.Now()
	step := &client.Vertex{Digest: digest.FromString("s"), Name: "[1/1] RUN wait", Started: &now}
	for name, c := range map[string]struct {
		next  func(i int) *client.SolveStatus
		stays bool
	}{
		"lines": {func(int) *client.SolveStatus {
			return &client.SolveStatus{Logs: []*client.VertexLog{{}}}
		}, true},
		"a counter": {func(i int) *client.SolveStatus {
			return &client.SolveStatus{Statuses: []*client.VertexStatus{{ID: "x",
				Current: int64(i)}}}
		}, true},
		"steps": {func(i int) *client.SolveStatus {
			return &client.SolveStatus{Vertexes: []*client.Vertex{{Digest: digest.FromBytes(
				[]byte{byte(i)},
			), Started: &now}}}
		}, true},
		"a counter that stands": {func(int) *client.SolveStatus {
			return &client.SolveStatus{Statuses: []*client.VertexStatus{{ID: "x", Current: 7}}}
		}, false},
		"a step that is repeated": {func(int) *client.SolveStatus {
			return &client.SolveStatus{Vertexes: []*client.Vertex{step}}
		}, false},
		"empty messages": {func(int) *client.SolveStatus { return &client.SolveStatus{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, ctx := watched(t)
				defer w.watch(w.stalledStep)()
				w.observe(&client.SolveStatus{Vertexes: []*client.Vertex{step}})
				for i := range 10 {
					time.Sleep(50 * time.Second)
					w.observe(c.next(i))
				}
				err := context.Cause(ctx)
				if c.stays != (err == nil) {
					t.Fatalf("the cause is %v", err)
				}
				if err != nil &&
					(!errors.Is(err, ErrStalled) || !strings.Contains(err.Error(), "RUN wait")) {
					t.Error(err)
				}
			})
		})
	}
}

// TestAStallIsBlamedOnWhatWaits: on a server as long as a step that asks it runs, and on the
// template after that.
func TestAStallIsBlamedOnWhatWaits(t *testing.T) {
	now := time.Now()
	for name, want := range map[string]error{
		"fetch https://git.example/r#0123456789ab": ErrFetch,
		"[internal] load metadata for x:1":         ErrSource,
		"[build 1/2] FROM x:1":                     ErrSource,
		"docker-image://r.example/fe:1":            ErrSource,
		"[2/3] ADD --link https://h.example/f /":   ErrSource,
		"[2/3] ADD git@h.example:r.git /":          ErrSource,
		"[2/3] ADD local /":                        ErrStalled,
		"[2/3] RUN curl https://h.example/f":       ErrStalled,
		"[2/3] COPY https:/f /":                    ErrStalled,
	} {
		synctest.Test(t, func(t *testing.T) {
			kind := func(vertexes ...*client.Vertex) error {
				w, ctx := watched(t)
				defer w.watch(w.stalledStep)()
				w.observe(&client.SolveStatus{Vertexes: vertexes})
				<-ctx.Done()
				err := context.Cause(ctx)
				if failed, ok := errors.AsType[*Error](err); ok && errors.Is(err, ErrStalled) {
					return failed.Kind
				}
				return err
			}
			step := &client.Vertex{Digest: digest.FromString("a"), Name: name, Started: &now}
			later := &client.Vertex{Digest: digest.FromString("b"), Name: "[3/3] RUN sleep",
				Started: &now}
			if got := kind(step, later); !errors.Is(got, want) {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
			ended := *step
			ended.Completed = &now
			if got := kind(step, &ended, later); !errors.Is(got, ErrStalled) {
				t.Errorf("%s, which has ended: %v", name, got)
			}
		})
	}
}

// TestFault63_AnExtractionIsLeftAlone: BuildKit reports only its start and its end. After that a
// step must make progress again.
func TestFault63_AnExtractionIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ctx := watched(t)
		defer w.watch(w.stalledStep)()
		now := time.Now()
		vertex := &client.Vertex{Digest: digest.FromString("from"), Name: "[1/2] FROM big",
			Started: &now}
		status := &client.VertexStatus{ID: "extracting sha256:x", Vertex: vertex.Digest,
			Started: &now}
		w.observe(&client.SolveStatus{Vertexes: []*client.Vertex{vertex},
			Statuses: []*client.VertexStatus{status}})
		time.Sleep(time.Hour)
		if err := context.Cause(ctx); err != nil {
			t.Fatal(err)
		}
		status.Completed = &now
		w.observe(&client.SolveStatus{Statuses: []*client.VertexStatus{status}})
		time.Sleep(2 * time.Minute)
		if err := context.Cause(ctx); !errors.Is(err, ErrStalled) {
			t.Errorf("after it: %v", err)
		}
	})
}

// TestFault63_AnArchiveMoves from its first byte to its last.
func TestFault63_AnArchiveMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dog, ctx := watched(t)
		r, w := io.Pipe()
		read := make(chan struct{}, 1)
		go func() { _, _ = io.Copy(io.Discard, dog.archive(r)); read <- struct{}{} }()
		time.Sleep(time.Hour) // the builder makes its layers ready
		_, _ = w.Write([]byte("x"))
		time.Sleep(50 * time.Second)
		_, _ = w.Write([]byte("x"))
		time.Sleep(50 * time.Second)
		_ = w.Close()
		<-read
		time.Sleep(time.Hour) // the engine unpacks
		if err := context.Cause(ctx); err != nil {
			t.Fatal(err)
		}
		r, w = io.Pipe()
		go func() { _, _ = io.Copy(io.Discard, dog.archive(r)); read <- struct{}{} }()
		_, _ = w.Write([]byte("x"))
		time.Sleep(time.Hour)
		if err := context.Cause(ctx); !errors.Is(err, ErrStalled) {
			t.Errorf("an archive that stopped: %v", err)
		}
		_ = w.Close()
		<-read
	})
}

// TestFault63_AnExportIsLeftAlone: between the last step and the first layer, and after the last
// layer.
func TestFault63_AnExportIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ctx := watched(t)
		w.watch(w.stalledStep)()
		time.Sleep(time.Hour)
		open := w.blobs(func(context.Context, ocispecs.Descriptor) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("layer")), nil
		})
		r, err := open(ctx, ocispecs.Descriptor{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		_ = r.Close()
		time.Sleep(time.Hour)
		if err := context.Cause(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := open(ctx, ocispecs.Descriptor{Digest: "sha256:x"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := context.Cause(ctx); !errors.Is(err, ErrStalled) || !errors.Is(err, ErrDelivery) ||
			!strings.Contains(err.Error(), "sha256:x") {
			t.Errorf("a layer that is not read: %v", err)
		}
	})
}

func TestNoWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		w := newWatchdog(0, cancel)
		defer w.watch(w.stalledStep)()
		time.Sleep(1000 * time.Hour)
		w.progress()
		if err := context.Cause(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestTheTimeLimit ends a build that makes progress all the time.
func TestTheTimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ctx := watched(t)
		defer w.watch(w.stalledStep)()
		begun := time.Now()
		defer w.limit(12*time.Minute, 12*time.Minute)()
		w.limit(time.Minute, time.Minute)() // an attempt that ended in time
		for i := 0; ctx.Err() == nil; i++ {
			w.observe(&client.SolveStatus{Vertexes: []*client.Vertex{{
				Digest: digest.FromBytes([]byte{byte(i)}), Name: "[1/1] RUN loop", Started: &begun,
			}}})
			time.Sleep(10 * time.Second)
		}
		err := context.Cause(ctx)
		if d := time.Since(begun); d < 12*time.Minute || d > 13*time.Minute {
			t.Errorf("it took %s", d)
		}
		if !errors.Is(err, ErrTimeLimit) || errors.Is(err, ErrStalled) ||
			!strings.Contains(err.Error(), "12m0s") || !strings.Contains(err.Error(), "RUN loop") {
			t.Error(err)
		}
	})
}

// TestTheRestOfATimeLimit may be none when another attempt begins.
func TestTheRestOfATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ctx := watched(t)
		defer w.limit(-time.Second, time.Minute)()
		synctest.Wait()
		time.Sleep(time.Millisecond)
		if err := context.Cause(ctx); !errors.Is(err, ErrTimeLimit) {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w, ctx := watched(t)
		defer w.limit(-time.Second, 0)()
		time.Sleep(1000 * time.Hour)
		if err := context.Cause(ctx); err != nil {
			t.Error(err)
		}
	})
}
