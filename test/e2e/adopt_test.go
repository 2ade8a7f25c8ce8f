package e2e_test

import (
	"os"
	"testing"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestALostCacheFolder is no rebuild: an image whose ID the builder confirms from its cache is
// adopted, and no step runs. If the builder's cache is lost as well, the image is built, and the
// receipt says why.
func TestALostCacheFolder(t *testing.T) {
	onCells(t, allCells(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		if c.standalone {
			s.user = s.on(emptyBuilder(t))
		}
		s.user = s.with("PINION_CACHE", "off")
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		tmpl.busybox(t, "RUN date +%s%N > /when", "RUN cat /when /when > /twice")
		first := s.ensure(t, pinion.OutcomeBuilt)
		s.loseCacheFolder(t)
		var ran steps
		again := s.built(t, ran.option())
		if again.ID != first.ID || again.Reason != "adopted" {
			t.Errorf("%s after %s, because %q", again.ID, first.ID, again.Reason)
		}
		ran.wantCached(t)
		s.ensure(t, pinion.OutcomeHit)

		s.loseCacheFolder(t)
		s.pruneBuilder(t)
		rebuilt := s.ensure(t, pinion.OutcomeBuilt)
		if rebuilt.ID == first.ID || rebuilt.Reason != "no record of the image that has this "+
			"name, and the build came to another one" {
			t.Errorf("%s after %s, because %q", rebuilt.ID, first.ID, rebuilt.Reason)
		}
	})
}

// TestTwoUsersOfOneEngine: with records and builders of their own they build once each, and then
// each has hits with the image that their own record names.
func TestTwoUsersOfOneEngine(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.user = s.with("PINION_CACHE", "off")
		other := s.with("MOLECULE_LOCAL_BUILD_CACHE", t.TempDir()+"/cache").on(emptyBuilder(t))
		tmpl, _ := s.prepare(t, "RUN date +%s%N > /when")
		mine := s.ensure(t, pinion.OutcomeBuilt)
		theirs := other.ensure(t, pinion.OutcomeBuilt)
		if mine.ID == theirs.ID || mine.Reference != theirs.Reference {
			t.Fatalf("%s %s, and %s %s", mine.Reference, mine.ID, theirs.Reference, theirs.ID)
		}
		for range 2 {
			for id, u := range map[string]user{mine.ID: s.user, theirs.ID: other} {
				if hit := u.ensure(t, pinion.OutcomeHit); hit.ID != id ||
					s.id(t, hit.Reference) != id {
					t.Errorf("the hit is %s, %s names %s, and the record %s", hit.ID,
						hit.Reference, s.id(t, hit.Reference), id)
				}
			}
		}
		// An image that only has the name is not believed, and not put aside without a build.
		s.foreign(t, storetest.Spec{Tag: "foreign:x", Content: s.prefix})
		s.tag(t, "foreign:x", mine.Reference)
		if again := s.ensure(t, pinion.OutcomeBuilt); again.ID != mine.ID {
			t.Errorf("built %s after %s", again.ID, mine.ID)
		}
		// To prune, each knows what it built, and takes no image whose name is the other's now.
		tmpl.busybox(t, "RUN date +%s%N > /when && echo later")
		for first, u := range map[string]user{mine.ID: s.user, theirs.ID: other} {
			later := u.ensure(t, pinion.OutcomeBuilt)
			for owner, of := range map[string]user{mine.ID: s.user, theirs.ID: other} {
				report, err := of.open(t).Prune(t.Context(),
					pinion.PruneOptions{Keep: 1, DryRun: true})
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range report.Items {
					if owner != first && (i.ImageID == first || i.ImageID == later.ID) ||
						i.Action == pinion.PruneRemoved && i.ImageID != s.id(t, i.Reference) {
						t.Errorf("%s and %s are of one user, and the other would prune %+v", first,
							later.ID, i)
					}
				}
			}
		}
	})
}

func (u user) loseCacheFolder(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(u.cacheDir()); err != nil {
		t.Fatal(err)
	}
}

// pruneBuilder empties the cache of the builder in use.
func (s *scene) pruneBuilder(t *testing.T) {
	t.Helper()
	if s.standalone {
		s.user = s.on(emptyBuilder(t))
		return
	}
	if _, err := s.docker.BuildCachePrune(t.Context(),
		client.BuildCachePruneOptions{All: true}); err != nil {
		t.Fatal(err)
	}
}
