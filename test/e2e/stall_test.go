package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestFault63_AStepThatStalls is given up by its name; a build that says something now and then is
// not.
func TestFault63_AStepThatStalls(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, _ := s.prepare(t, "RUN echo begun && sleep 600")
		_, err := s.open(t, pinion.WithStallAfter(2*time.Second)).Ensure(t.Context(), runtime)
		wantError(t, err, pinion.ErrStalled, "sleep 600")
		wantNoTrace(t, s)
		tmpl.busybox(t, "RUN for i in 1 2 3 4 5 6; do sleep 1; echo $i; done")
		img, err := s.open(t, pinion.WithStallAfter(5*time.Second)).Ensure(t.Context(), runtime)
		if err != nil {
			t.Fatal(err)
		}
		s.wantImage(t, img)
	})
}

// TestATimeLimit ends a build that makes progress, and leaves nothing behind.
func TestATimeLimit(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN while true; do echo busy; sleep 1; done")
		_, err := s.open(t, pinion.WithTimeout(5*time.Second)).Ensure(t.Context(), runtime)
		wantError(t, err, pinion.ErrTimeLimit, "echo busy")
		if class := pinion.ClassOf(err); class != pinion.ClassTimeLimit {
			t.Errorf("the class is %s", class)
		}
		wantNoTrace(t, s)
	})
}

// TestAQuietStepIsReported with its number in the Dockerfile.
func TestAQuietStepIsReported(t *testing.T) {
	partstest.OnSomeDays(t)
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN sleep 25")
		var quiet []pinion.Event
		_, err := s.open(t).Ensure(t.Context(), runtime, pinion.OnEvent(func(e pinion.Event) {
			if e.Type == pinion.EventStillBuilding {
				quiet = append(quiet, e)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if len(quiet) != 1 || !strings.HasPrefix(quiet[0].Text, "still building "+runtime+
			": step 3/3 RUN sleep 25, 2") {
			t.Errorf("got %+v", quiet)
		}
	})
}

// TestEventsOfARealBuild: what a user would be shown, from the name to the image.
func TestEventsOfARealBuild(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		_, sha := s.prepare(t, append(unique(),
			"RUN head -c 99999 /dev/urandom >/noise && echo hello events")...)
		var events []pinion.Event
		o := s.open(t)
		img, err := o.Ensure(t.Context(), runtime, pinion.OnEvent(func(e pinion.Event) {
			events = append(events, e)
		}))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[pinion.EventType]int{}
		var steps, lines []string
		for _, e := range events {
			seen[e.Type]++
			switch e.Type {
			case pinion.EventStep:
				steps = append(steps, e.Step.Name+" "+string(e.Step.State))
			case pinion.EventLog:
				lines = append(lines, e.Text)
			}
		}
		if first, last := events[0], events[len(events)-1]; first.Revision.String() != sha ||
			last.Image.ID != img.ID {
			t.Errorf("from %+v to %+v", first, last)
		}
		for _, want := range []pinion.EventType{pinion.EventResolved, pinion.EventFetching,
			pinion.EventDone} {
			if seen[want] != 1 {
				t.Errorf("%d events of type %s", seen[want], want)
			}
		}
		if c.standalone && seen[pinion.EventDelivering] == 0 {
			t.Error("nothing was said of the delivery")
		}
		if got := strings.Join(steps, "\n"); !strings.Contains(got, "hello events started") ||
			!strings.Contains(got, "hello events done") {
			t.Errorf("the steps are\n%s", got)
		}
		if got := strings.Join(lines, "\n"); !strings.Contains(got, "hello events") {
			t.Errorf("the output is\n%s", got)
		}
	})
}

// TestStalledTransfers: a registry that takes a request and never answers it ends a push and a pull
// after the time of a build without progress.
func TestStalledTransfers(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo stalled "+c.String())
		u := d.withLogin(t, s.user, depotPassword)
		prefix := d.host + "/" + s.prefix + "x"
		u.succeed(t, "ensure", runtime)
		hang := func(_ http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			<-r.Context().Done()
			return true
		}
		d.SetHook(hang)
		defer d.SetHook(nil)
		u.fail(t, exitUnreachable, []string{"push", "nothing moved for 3s"}, "ensure", runtime,
			"--stall-after", "3s", "--push", "--registry", prefix)
		d.push(t, s.prefix+"x/workspace-template-hermes", "latest",
			storetest.Spec{Content: "stalled " + c.String()})
		u.with("MOLECULE_IMAGE_REGISTRY", prefix).fail(t, exitUnreachable,
			[]string{"pull", "nothing moved for 3s"}, "ensure", runtime, "--stall-after", "3s")
	})
}
