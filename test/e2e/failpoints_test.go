package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/failpoint"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// startWithFailpoints starts a build of the command with failpoints, under a plan.
func (u user) startWithFailpoints(t *testing.T, plan string) *process {
	t.Helper()
	return u.with(failpoint.Env, plan).startProgram(t,
		build(t, "pinion-failpoints", "-tags", "failpoints"), "ensure", runtime, "--format", "json")
}

// TestFault43_BetweenSteps kills, fails and delays the process between each two steps. What was
// begun is never taken for what was done, and the next run gives the right image: the one that is
// delayed comes after one that failed, and that after one that was killed.
func TestFault43_BetweenSteps(t *testing.T) {
	partstest.OnSomeDays(t)
	onCells(t, []cell{containerdOwn, containerdStandalone, classicStandalone, oldStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			tmpl := s.template(t, runtime, parts.RepoOptions{})
			for i, point := range failpoint.Points() {
				if point == failpoint.Loading && !c.standalone {
					continue // no bytes pass through the process
				}
				t.Run(string(point), func(t *testing.T) {
					p := step{scene: s, point: point, passed: i}
					next := func() { p.reference = tmpl.reference(tmpl.busybox(t, unique()...)) }
					next()
					p.kill(t)
					switch {
					case c == oldStandalone:
						p.after(t)
						return
					case point == failpoint.Recorded:
						p.after(t)
						next()
						p.fail(t)
						p.after(t)
						next()
					default:
						p.fail(t)
					}
					p.delay(t)
				})
			}
		})
}

// unique are lines of a Dockerfile that make a layer which no engine has.
func unique() []string {
	return []string{fmt.Sprintf("# %d", scenes.Add(1)), "COPY Dockerfile /unique"}
}

// step is a point that a template's new commit is taken to.
type step struct {
	*scene
	point     failpoint.Point
	passed    int // how many points are before it
	reference string
}

func (s step) kill(t *testing.T) {
	t.Helper()
	before := len(s.records(t, "*.json"))
	p := s.startWithFailpoints(t, string(s.point)+"=kill")
	p.wait(t)
	if status, ok := p.ProcessState.Sys().(syscall.WaitStatus); !ok ||
		status.Signal() != syscall.SIGKILL {
		t.Errorf("ended with %s\n%s", p.ProcessState, p.stderr)
	}
	if n := s.temporary(t); n > 1 {
		t.Errorf("%d temporary names are left", n)
	}
	s.wantNothingTooEarly(t, before)
}

// fail expects the error of the side that the step belongs to, and nothing temporary.
func (s step) fail(t *testing.T) {
	t.Helper()
	before := len(s.records(t, "*.json"))
	r := s.startWithFailpoints(t, string(s.point)+"=error").result(t)
	if !strings.Contains(r.stderr, "failpoint "+string(s.point)+": error") {
		t.Errorf("the point was not reached:\n%s", r.stderr)
	}
	switch codes := map[failpoint.Point]int{
		failpoint.LookedUp: exitGeneral, failpoint.Locked: exitGeneral,
		failpoint.Fetched: exitUnreachable, failpoint.Solved: exitBuild,
		failpoint.Loading: exitStore, failpoint.Delivered: exitGeneral,
		failpoint.Verified: exitStore, failpoint.Tagged: exitStore,
	}; {
	case s.point == failpoint.Recorded:
		// Nothing is wrong with the image.
		if img := parseImage(t, r); len(img.Warnings) != 1 ||
			!strings.Contains(img.Warnings[0], "not remembered") {
			t.Errorf("the warnings are %q", img.Warnings)
		}
	case r.code != codes[s.point] || r.stdout != "" ||
		strings.Count(r.stderr, "failpoint "+string(s.point)) < 2:
		t.Errorf("exit code %d, not %d; stdout %q\n%s", r.code, codes[s.point], r.stdout, r.stderr)
	}
	s.wantNothingTemporary(t, runtime)
	s.wantNothingTooEarly(t, before)
}

func (s step) delay(t *testing.T) {
	t.Helper()
	r := s.startWithFailpoints(t, string(s.point)+"=delay:50ms").result(t)
	if !strings.Contains(r.stderr, "failpoint "+string(s.point)+": delay") {
		t.Errorf("the point was not reached:\n%s", r.stderr)
	}
	img := parseImage(t, r)
	if img.Outcome != pinion.OutcomeBuilt || img.Reference != s.reference {
		t.Errorf("%s is %s, and %s was wanted", img.Reference, img.Outcome, s.reference)
	}
	s.wantImage(t, img)
	s.ensure(t, pinion.OutcomeHit)
}

// after checks the next two runs: the right image, then a hit. A recorded image is a hit at once.
func (s step) after(t *testing.T) {
	t.Helper()
	want := pinion.OutcomeBuilt
	if s.point == failpoint.Recorded {
		want = pinion.OutcomeHit
	}
	img := s.ensure(t, want)
	if img.Reference != s.reference {
		t.Errorf("the image is %s, not %s", img.Reference, s.reference)
	}
	s.wantImage(t, img)
	s.ensure(t, pinion.OutcomeHit)
}

// wantNothingTooEarly: no name before the verification, no record before the name.
func (s step) wantNothingTooEarly(t *testing.T, recordsBefore int) {
	t.Helper()
	named := s.id(t, s.reference) != ""
	if want := s.passed >= slices.Index(failpoint.Points(), failpoint.Tagged); named != want {
		t.Errorf("that %s names an image is %t", s.reference, named)
	}
	wantRecords(t, s.scene, recordsBefore+map[bool]int{true: 1}[s.point == failpoint.Recorded])
}

// temporary counts the names of unverified images.
func (s *scene) temporary(t *testing.T) (n int) {
	t.Helper()
	for _, tag := range s.tags(t, runtime) {
		if strings.Contains(tag, ":unverified-") {
			n++
		}
	}
	return n
}

// TestFault46_SecondProcessWaitsForADelayedOne gets its image and solves nothing.
func TestFault46_SecondProcessWaitsForADelayedOne(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, unique()...)
		first := s.startWithFailpoints(t, "locked=delay:2s")
		eventually(t, "the first at its point", func() bool {
			return strings.Contains(first.stderr.String(), "failpoint locked")
		})
		second := s.start(t, "ensure", runtime, "--format", "json").result(t)
		built, hit := parseImage(t, first.result(t)), parseImage(t, second)
		if built.Outcome != pinion.OutcomeBuilt || hit.Outcome != pinion.OutcomeHit ||
			hit.ID != built.ID {
			t.Errorf("the first got %+v, the second %+v", built, hit)
		}
		if !strings.Contains(second.stderr, "waiting for another build") ||
			strings.Contains(second.stderr, "solving") {
			t.Errorf("the second did not just wait:\n%s", second.stderr)
		}
		s.wantImage(t, hit)
	})
}
