package pinion

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// wantTags checks that the store has these tags and no other.
func (w *world) wantTags(t *testing.T, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(w.store.References())); !slices.Equal(got, want) {
		t.Errorf("tags are %q, want %q", got, want)
	}
}

func latestName(img Image) string {
	name, _, _ := strings.Cut(img.Reference, ":")
	return name + ":latest"
}

func TestAdoptWhatWasReceived(t *testing.T) {
	w := newWorld(t)
	w.builder.outside = true // delivers through the sink
	img := w.ensure(t)
	if img.Outcome != OutcomeBuilt || w.store.References()[img.Reference] != img.ID {
		t.Fatalf("%+v", img)
	}
	w.wantTags(t, img.Reference, latestName(img))
	if got := w.store.Untagged; len(got) != 1 || !strings.HasPrefix(got[0], "127.0.0.1:4000/") {
		t.Errorf("untagged %q", got)
	}
}
