package e2e_test

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestFault51_FailuresOverHTTP: who asks after a failure, or after a cancellation, gets a build of
// its own, and no record says that there was one.
func TestFault51_FailuresOverHTTP(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "ADD "+s.git.URL()+"/sometimes /x")
	srv := serveHere(t, s.open(t))

	s.git.SetHook(parts.FailPath("/sometimes", 500, "not now"))
	for range 2 {
		got := want[map[string]any](t, srv.ensure(t.Context()), 502)
		if got["class"] != "unreachable" || got["exit_code"] != 12.0 {
			t.Errorf("%v", got)
		}
	}

	held, arrived, release := parts.GatePath("/sometimes")
	defer release()
	s.git.SetHook(held)
	begun := srv.begin(t, runtime)
	receive(t, "the build", arrived)
	if got := srv.withdraw(t.Context(), begun); got != 204 {
		t.Fatal(got)
	}
	eventually(t, "no build under way", func() bool {
		return len(states(srv.builds(t))[pinion.BuildRunning]) == 0
	})
	if all := states(srv.builds(t)); len(all[pinion.BuildFailed]) != 3 || len(all) != 1 {
		t.Errorf("builds are %v", all)
	}
	wantRecords(t, s, 0)
	if list := want[struct {
		Images []pinion.Built
	}](t, srv.ask(t.Context(), "GET", "/v1/images", ""), 200); len(list.Images) != 0 {
		t.Errorf("images are %+v", list.Images)
	}

	s.git.SetHook(parts.FailPath("/sometimes", 200, "now"))
	for _, outcome := range []pinion.Outcome{pinion.OutcomeBuilt, pinion.OutcomeHit} {
		if img := want[pinion.Image](t, srv.ensure(t.Context()), 200); img.Outcome != outcome {
			t.Errorf("outcome is %s, not %s", img.Outcome, outcome)
		}
	}
}

// states are the builds' IDs by their state.
func states(builds []pinion.BuildStatus) map[pinion.BuildState][]string {
	ids := map[pinion.BuildState][]string{}
	for _, b := range builds {
		ids[b.State] = append(ids[b.State], b.ID)
	}
	return ids
}
