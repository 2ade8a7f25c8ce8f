package e2e_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// answer is what a caller got.
type answer struct {
	image pinion.Image
	err   error
}

// openLogging is an orchestrator whose log lines are kept.
func openLogging(t *testing.T, u user) (*pinion.Orchestrator, *output) {
	t.Helper()
	var out output
	return u.open(t, pinion.WithLogger(slog.New(slog.NewTextHandler(&out, nil)))), &out
}

// solves counts the solves that were started.
func solves(out *output) int { return strings.Count(out.String(), "local-build: solving ") }

func ask(ctx context.Context, o *pinion.Orchestrator) <-chan answer {
	c := make(chan answer, 1)
	go func() {
		img, err := o.Ensure(ctx, runtime)
		c <- answer{img, err}
	}()
	return c
}

// stacks returns the stacks of all goroutines that contain all of the words.
func stacks(words ...string) (found []string) {
	text := make([]byte, 8<<20)
	text = text[:goruntime.Stack(text, true)]
	for stack := range strings.SplitSeq(string(text), "\n\n") {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(stack, w) }) {
			found = append(found, stack)
		}
	}
	return found
}

// sharing counts the callers that wait for a shared build, also over HTTP; those that wait for a
// shared look-up are in the resolver.
func sharing() (n int) {
	n = len(stacks("pinion/cmd/internal/server.await("))
	for _, stack := range stacks("pinion/internal/flight.(*Ticket[...]).Wait(",
		"molecule-ai/pinion.(*Call).Wait(") {
		if !strings.Contains(stack, "pinion/resolver.") {
			n++
		}
	}
	return n
}

func waitForSharing(t *testing.T, n int) {
	t.Helper()
	eventually(t, "callers that share a build", func() bool { return sharing() == n })
}

// TestTwentyCallersShareOneSolve holds the build until all of them wait for it.
func TestTwentyCallersShareOneSolve(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		gate := newBuildGate(t)
		s.prepare(t, gate.add())
		o, log := openLogging(t, s.user)
		const callers = 20
		var answers []<-chan answer
		for range callers {
			answers = append(answers, ask(t.Context(), o))
		}
		receive(t, "the build", gate.arrived)
		waitForSharing(t, callers)
		gate.open()
		ids := map[string]int{}
		for _, a := range answers {
			got := receive(t, "an answer", a)
			if got.err != nil {
				t.Fatal(got.err)
			}
			ids[got.image.ID]++
		}
		if len(ids) != 1 {
			t.Errorf("%d callers got the images %v", callers, ids)
		}
		if n := solves(log); n != 1 {
			t.Errorf("%d solves, not 1", n)
		}
		if n := s.engine.Count("/session"); !c.standalone && n != 1 {
			t.Errorf("%d Build sessions, not 1", n)
		}
	})
}

// TestFault46_OneBuildForAllProcesses starts them together: one builds, the others find its image.
func TestFault46_OneBuildForAllProcesses(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		gate := newBuildGate(t)
		_, sha := s.prepare(t, gate.add())
		var all []*process
		for range 5 {
			all = append(all, s.start(t, "ensure", runtime, "--format", "json"))
		}
		receive(t, "the build", gate.arrived)
		eventually(t, "all but one at the lock", func() bool {
			return waitingAtLock(all) == len(all)-1
		})
		gate.open()
		outcomes, started := map[pinion.Outcome]int{}, 0
		for _, p := range all {
			r := p.result(t)
			img := parseImage(t, r)
			outcomes[img.Outcome]++
			started += strings.Count(r.stderr, "local-build: solving ")
			if img.Revision.String() != sha {
				t.Errorf("built %s, not %s", img.Revision, sha)
			}
		}
		if outcomes[pinion.OutcomeBuilt] != 1 || outcomes[pinion.OutcomeHit] != 4 || started != 1 {
			t.Errorf("outcomes are %v, with %d solves", outcomes, started)
		}
		if n := s.engine.Count("/session"); !c.standalone && n != 1 {
			t.Errorf("%d Build sessions, not 1", n)
		}
		s.ensure(t, pinion.OutcomeHit)
	})
}

// waitingAtLock counts the processes that say that they wait for another.
func waitingAtLock(all []*process) (n int) {
	for _, p := range all {
		if strings.Contains(p.stderr.String(), "waiting for another build") {
			n++
		}
	}
	return n
}

// TestFault47_LockOfAKilledProcess: the kernel frees it, and its file stays.
func TestFault47_LockOfAKilledProcess(t *testing.T) {
	s := newScene(t, containerdStandalone)
	gate := newBuildGate(t)
	s.prepare(t, gate.add())
	holder := s.start(t, "ensure", runtime)
	receive(t, "the build", gate.arrived)
	before := fileInfo(t, s.lockFile(t))
	waiter := s.start(t, "ensure", runtime, "--format", "json")
	eventually(t, "a second process at the lock", func() bool {
		return waitingAtLock([]*process{waiter}) == 1
	})
	if log := waiter.stderr.String(); strings.Contains(log, "solving") {
		t.Errorf("the second process did not wait:\n%s", log)
	}
	holder.kill()
	gate.open()
	if img := parseImage(t, waiter.result(t)); img.Outcome != pinion.OutcomeBuilt {
		t.Errorf("outcome is %s", img.Outcome)
	}
	if after := fileInfo(t, s.lockFile(t)); !os.SameFile(before, after) {
		t.Error("the lock file was replaced")
	}
	s.wantNothingTemporary(t, runtime)
}

func TestLockTimeout(t *testing.T) {
	s := newScene(t, containerdOwn)
	gate := newBuildGate(t)
	s.prepare(t, gate.add())
	holder := s.start(t, "ensure", runtime)
	receive(t, "the build", gate.arrived)
	_, err := s.open(t, pinion.WithLockWait(1)).Ensure(t.Context(), runtime)
	wantError(t, err, pinion.ErrLockTimeout)
	gate.open()
	if r := holder.result(t); r.code != 0 {
		t.Errorf("the holder failed:\n%s", r.stderr)
	}
}

// TestFault49_FirstWaiterLeaves: who started the build may leave; the others get it.
func TestFault49_FirstWaiterLeaves(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		gate := newBuildGate(t)
		s.prepare(t, gate.add())
		o, log := openLogging(t, s.user)
		ctx, leave := context.WithCancel(t.Context())
		first := ask(ctx, o)
		receive(t, "the build", gate.arrived)
		second := ask(t.Context(), o)
		waitForSharing(t, 2)
		leave()
		if got := receive(t, "the first's answer", first); !errors.Is(got.err, context.Canceled) {
			t.Errorf("the first got %+v", got)
		}
		gate.open()
		got := receive(t, "the second's answer", second)
		if got.err != nil || got.image.Outcome != pinion.OutcomeBuilt {
			t.Errorf("the second got %+v", got)
		}
		if n := solves(log); n != 1 {
			t.Errorf("%d solves, not 1", n)
		}
		s.ensure(t, pinion.OutcomeHit)
	})
}

// TestFault50_AllWaitersLeave: the builder drops the solve, and this process all that it had for
// it.
func TestFault50_AllWaitersLeave(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, _ := s.prepare(t, "RUN echo warm")
		o := s.open(t)
		if _, err := o.Ensure(t.Context(), runtime); err != nil {
			t.Fatal(err)
		}
		before := goroutines()
		gate := newBuildGate(t)
		tmpl.busybox(t, gate.add())
		ctx, leave := context.WithCancel(t.Context())
		waiters := []<-chan answer{ask(ctx, o), ask(ctx, o), ask(ctx, o)}
		receive(t, "the build", gate.arrived)
		waitForSharing(t, len(waiters))
		leave()
		leftovers := time.Now()
		for _, w := range waiters {
			if got := receive(t, "an answer", w); !errors.Is(got.err, context.Canceled) {
				t.Errorf("got %+v", got)
			}
		}
		receive(t, "the end of the solve", gate.gone)
		if took := time.Since(leftovers); took > 5*time.Second {
			t.Errorf("the builder went on for %s", took)
		}
		eventually(t, "the end of all goroutines", func() bool { return goroutines() <= before })
		wantRecords(t, s, 1)
		// Fault 51: what was cancelled is not remembered as anything.
		gate.open()
		s.ensure(t, pinion.OutcomeBuilt)
	})
}

// goroutines counts those of the product: what the HTTP clients, servers and proxies of the suite
// keep comes and goes.
func goroutines() (n int) {
	ours := []string{
		"moby/buildkit", "google.golang.org/grpc", "molecule-ai/pinion.", "pinion/buildkit.",
		"pinion/cache.", "pinion/resolver.",
		"pinion/internal/flight.", "pinion/internal/feed.", "pinion/internal/queue.",
		"pinion/cmd/internal/server.",
	}
	for _, stack := range stacks() {
		if slices.ContainsFunc(ours, func(word string) bool {
			return strings.Contains(stack, word)
		}) {
			n++
		}
	}
	return n
}

func wantRecords(t *testing.T, s *scene, n int) {
	t.Helper()
	if got := s.records(t, "*.json"); len(got) != n {
		t.Errorf("%d records, not %d: %q", len(got), n, got)
	}
}

// TestFault51_FailuresAreNotRemembered: what failed for one is tried again for the next.
func TestFault51_FailuresAreNotRemembered(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl := s.template(t, runtime, parts.RepoOptions{})
	var wg sync.WaitGroup
	tmpl.busybox(t, "ADD "+s.git.URL()+"/sometimes /x")
	s.git.SetHook(parts.FailPath("/sometimes", 500, "not now"))
	o := s.open(t)
	for range 2 {
		wg.Go(func() {
			if _, err := o.Ensure(t.Context(), runtime); !errors.Is(err, pinion.ErrSource) {
				t.Errorf("error is %v", err)
			}
		})
	}
	wg.Wait()
	wantRecords(t, s, 0)
	s.git.SetHook(parts.FailPath("/sometimes", 200, "now"))
	img, err := o.Ensure(t.Context(), runtime)
	if err != nil || img.Outcome != pinion.OutcomeBuilt {
		t.Errorf("the next call got %+v, %v", img, err)
	}
}
