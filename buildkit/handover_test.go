package buildkit

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

// TestFault63_AReceiverThatBlocks: a build that prints a line a second makes progress, whether
// somebody looks at its output or has stopped the terminal.
func TestFault63_AReceiverThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ctx := watched(t) // a minute
		defer w.watch(w.stalledStep)()
		resume := make(chan struct{})
		got := 0
		h := newHandover(func(s *client.SolveStatus) { <-resume; got += len(s.Logs) })
		relay := statusRelay{observe: w.observe, checks: newChecks(nil)}
		statuses, relayed := make(chan *client.SolveStatus), make(chan struct{})
		go func() {
			defer close(relayed)
			relay.run(statuses, redact.New(), h.put)
		}()
		const lines = 600
		for range lines {
			statuses <- &client.SolveStatus{Logs: []*client.VertexLog{{Data: []byte("line\n")}}}
			time.Sleep(time.Second)
		}
		if err := context.Cause(ctx); err != nil {
			t.Errorf("cancelled: %v", err)
		}
		close(statuses)
		<-relayed
		close(resume)
		if h.close(); got != lines {
			t.Errorf("the receiver got %d lines of %d", got, lines)
		}
	})
}

// TestHandoverIsBounded: a receiver that falls far behind gets the last state of each vertex.
func TestHandoverIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const vertices = 10
		resume := make(chan struct{})
		states, calls := map[string]string{}, 0
		h := newHandover(func(s *client.SolveStatus) {
			<-resume
			calls++
			for _, v := range s.Vertexes {
				states[v.Name] = v.Error
			}
		})
		for i := range 100_000 {
			name := fmt.Sprint("v", i%vertices)
			h.put(&client.SolveStatus{Vertexes: []*client.Vertex{{Name: name,
				Digest: digest.FromString(name), Error: fmt.Sprint(i)}}})
		}
		close(resume)
		h.close()
		if calls > maxWaiting+2 || len(states) != vertices || states["v9"] != "99999" {
			t.Errorf("%d calls, states %v", calls, states)
		}
	})
}

// TestHandoverEnds: a receiver that never returns does not keep the end of a build, and one that is
// slow gets everything.
func TestHandoverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resume, calls := make(chan struct{}), 0
		stuck := newHandover(func(*client.SolveStatus) { calls++; <-resume })
		got := 0
		slow := newHandover(func(*client.SolveStatus) { time.Sleep(closePatience / 2); got++ })
		for range 10 {
			stuck.put(&client.SolveStatus{})
			slow.put(&client.SolveStatus{})
		}
		synctest.Wait()
		started := time.Now()
		stuck.close()
		if took := time.Since(started); took != closePatience {
			t.Errorf("it took %s", took)
		}
		if slow.close(); got != 10 {
			t.Errorf("the slow one got %d", got)
		}
		close(resume)
		if <-stuck.done; calls != 1 {
			t.Errorf("the stuck one was called %d times", calls)
		}
	})
}
