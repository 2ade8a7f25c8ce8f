package pinion

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// received is a world whose builder delivers through the sink.
func received(t *testing.T, opts ...Option) *world {
	t.Helper()
	w := newWorld(t, opts...)
	w.builder.outside = true
	return w
}

// temporary is the temporary name of the image that the world has built.
func (w *world) temporary(t *testing.T, img Image) string {
	t.Helper()
	key := strings.TrimPrefix(w.store.Images[img.ID].Labels[LabelRecipe], "sha256:")
	name, _, _ := strings.Cut(img.Reference, ":")
	return name + ":unverified-" + key[:12] + "-" + w.owner
}

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
	w := received(t)
	img := w.ensure(t)
	if img.Outcome != OutcomeBuilt || w.store.References()[img.Reference] != img.ID {
		t.Fatalf("%+v", img)
	}
	w.wantTags(t, img.Reference, latestName(img))
	if got := w.store.Untagged; len(got) != 1 || !strings.HasPrefix(got[0], "127.0.0.1:4000/") {
		t.Errorf("untagged %q", got)
	}
}

// The image is there and no record says so.
func TestAdoptWhatIsThere(t *testing.T) {
	for name, left := range map[string]func(t *testing.T, w *world, img Image){
		"with its names": func(*testing.T, *world, Image) {},
		"without": func(_ *testing.T, w *world, img Image) {
			maps.DeleteFunc(w.store.Tags, func(string, string) bool { return true })
			w.store.Tags["mine:1"] = img.ID
		},
		"with the temporary name alone": func(t *testing.T, w *world, img Image) {
			temporary := w.temporary(t, img)
			maps.DeleteFunc(w.store.Tags, func(string, string) bool { return true })
			w.store.Tags[temporary] = img.ID
		},
		"with the temporary name on another": func(t *testing.T, w *world, img Image) {
			w.store.Put(imagestore.Image{ID: "sha256:other"}, "mine:1")
			w.store.Tags[w.temporary(t, img)] = "sha256:other"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := received(t)
			img := w.ensure(t)
			left(t, w, img)
			want := []string{img.Reference, latestName(img)}
			if _, mine := w.store.Tags["mine:1"]; mine {
				want = append(want, "mine:1")
			}
			again := w.ensure(t, NoCache())
			if again.ID != img.ID || again.Outcome != OutcomeBuilt ||
				w.store.References()[img.Reference] != img.ID {
				t.Errorf("%+v, want %s", again, img.ID)
			}
			w.wantTags(t, want...)
		})
	}
}

// What comes and is not what was built leaves nothing.
func TestReceivedImageIsVerified(t *testing.T) {
	for name, spoil := range map[string]func(*imagestore.Image){
		"another ID":       func(i *imagestore.Image) { i.ID = "sha256:other" },
		"another label":    func(i *imagestore.Image) { i.Labels[LabelRevision] = shaB },
		"another platform": func(i *imagestore.Image) { i.Platform = "linux/riscv64" },
	} {
		t.Run(name, func(t *testing.T) {
			w := received(t)
			w.builder.spoil = spoil
			if _, err := w.Ensure(t.Context(), "claude-code"); !errors.Is(err, ErrVerification) {
				t.Errorf("error is %v", err)
			}
			w.wantTags(t)
			if len(w.store.Images) != 0 {
				t.Errorf("left are %v", w.store.Images)
			}
		})
	}
}
