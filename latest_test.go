package pinion

import "testing"

// TestAHitMakesLatestAgain: only where the name is missing, only for the branch's head, and with no
// request more where it is there.
func TestAHitMakesLatestAgain(t *testing.T) {
	w := newWorld(t)
	first := w.ensure(t)
	hit := func(opts ...EnsureOption) (requests int) {
		t.Helper()
		before := w.store.Inspections()
		if img := w.ensure(t, opts...); img.Outcome != OutcomeHit || len(img.Warnings) > 0 {
			t.Errorf("%s with warnings %q", img.Outcome, img.Warnings)
		}
		return w.store.Inspections() - before
	}
	if n := hit(); n != 1 {
		t.Errorf("%d requests for a hit", n)
	}
	delete(w.store.Tags, latestOf)
	hit(AtRevision(first.Revision, false))
	if id, ok := w.store.References()[latestOf]; ok {
		t.Errorf("a hit on a commit made latest, %s", id)
	}
	if hit(); w.store.References()[latestOf] != first.ID {
		t.Errorf("latest is not made again: %v", w.store.References())
	}

	w.heads.sha = shaB
	newer := w.ensure(t)
	w.heads.sha = shaA
	if hit(); w.store.References()[latestOf] != newer.ID {
		t.Errorf("a hit moved latest: %v", w.store.References())
	}
}
