package e2e_test

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestServeSeesWhatHappensBetweenRequests: between any two rounds of requests to a server the name
// of the image is moved, removed or given again. An answer that rests on how it was before would
// leave the name as it is: a request puts it right, or builds.
func TestServeSeesWhatHappensBetweenRequests(t *testing.T) {
	onEachCell(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t)
		o := s.user.open(t, pinion.WithRememberedInspections())
		srv := serveHere(t, o)
		img := want[pinion.Image](t, srv.ensure(t.Context()), 200)
		const kept, alike, other = "between/kept:1", "between/alike:1", "between/other:1"
		theirs := map[string]string{pinion.LabelRecipe: "sha256:that-of-somebody-else"}
		s.tag(t, img.ID, kept)
		s.foreign(t, storetest.Spec{Tag: alike, Content: "alike",
			Labels: theirs})
		s.foreign(t, storetest.Spec{Tag: other, Content: "other"})
		rounds := []struct {
			what  string
			do    func()
			built bool
		}{
			{"nothing happens", func() {}, false},
			{"the name is moved to an image of another user", func() {
				s.tag(t, alike, img.Reference)
			}, false},
			{"the name is removed", func() { s.remove(t, img.Reference, false) }, false},
			{"it is removed and given to another", func() {
				s.remove(t, img.Reference, false)
				s.tag(t, alike, img.Reference)
			}, false},
			{"it is moved away and back", func() {
				s.tag(t, alike, img.Reference)
				s.tag(t, kept, img.Reference)
			}, false},
			{"it is given again", func() { s.tag(t, kept, img.Reference) }, false},
			{"an image with the name is loaded", func() {
				s.foreign(t, storetest.Spec{Tag: img.Reference, Content: "alike",
					Labels: theirs})
			}, false},
			{"it is moved to an image that is not Pinion's", func() {
				s.tag(t, other, img.Reference)
			}, true},
		}
		for n := range 320 {
			r := rounds[n%len(rounds)]
			if r.built && n > 4*len(rounds) {
				continue // a build takes long
			}
			r.do()
			for range 3 { // the third one may be answered from memory
				got := want[pinion.Image](t, srv.ensure(t.Context()), 200)
				if r.built && got.Outcome == pinion.OutcomeBuilt {
					img = got
					s.tag(t, img.ID, kept)
				} else if got.ID != img.ID || got.Outcome != pinion.OutcomeHit {
					t.Fatalf("round %d, after %s: %s of %s, not the hit on %s", n, r.what,
						got.Outcome, got.ID, img.ID)
				}
				if id := s.id(t, img.Reference); id != img.ID {
					t.Fatalf("round %d, after %s: the name is %q, not %s", n, r.what, id, img.ID)
				}
			}
		}
		counts := o.Inspections()
		remembers := c.store == parts.Docker29Containerd
		if remembers != (counts.Remembered > 300) {
			t.Errorf("%+v", counts)
		}
		t.Logf("%+v", counts)
	})
}
