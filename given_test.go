package pinion

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

var givenID = "sha256:" + strings.Repeat("ab", 32)

// givenWorld has a catalogue that gives an image for claude-code. Git server and builder must not
// be asked.
func givenWorld(t *testing.T, image, more string, opts ...Option) *world {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "templates:\n  - {name: claude-code, image: \"" + image + "\"" + more + "}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, append(opts, WithConfig(config))...)
	w.heads.err = errors.New("a git server was asked")
	t.Cleanup(func() {
		if w.heads.asked != 0 || w.builder.solves() != 0 || len(w.store.Pulled) != 0 {
			t.Errorf("%d questions to git, %d solves, %v pulled", w.heads.asked,
				w.builder.solves(), w.store.Pulled)
		}
	})
	return w
}

func TestGivenImage(t *testing.T) {
	named := "team/image@" + givenID
	for name, tc := range map[string]struct{ given, id, ref string }{
		"by its ID":                     {givenID, givenID, ""},
		"by a name":                     {named, "sha256:config", named},
		"by a name the store lacks":     {named, givenID, ""},
		"by a name and under other one": {named, givenID, "other:tag"},
	} {
		t.Run(name, func(t *testing.T) {
			w := givenWorld(t, tc.given, "")
			w.store.Put(imagestore.Image{ID: tc.id, Platform: "linux/amd64"}, tc.ref)
			img := w.ensure(t)
			if img.Outcome != OutcomeGiven || img.ID != tc.id || img.Reference != tc.given ||
				!img.Revision.IsZero() || img.Repository != "" {
				t.Errorf("%+v", img)
			}
			if ref, err := w.EnsureLocalImage(t.Context(), "claude-code"); err != nil ||
				ref != tc.given {
				t.Errorf("EnsureLocalImage: %q, %v", ref, err)
			}
			if res, err := w.Resolve(t.Context(), "claude-code"); err != nil ||
				res.Reference != tc.given || res.Repository != "" {
				t.Errorf("Resolve: %+v, %v", res, err)
			}
			if _, err := w.Bake(t.Context(), "claude-code"); !errors.Is(err, ErrInvalidInput) {
				t.Errorf("Bake: %v", err)
			}
		})
	}
}

// TestGivenImageInRegistryMode comes before the registry's, which is not asked for it.
func TestGivenImageInRegistryMode(t *testing.T) {
	given := "team/image:latest@" + givenID
	w := givenWorld(t, given, "", OptionsFromEnv(environment(map[string]string{
		"MOLECULE_IMAGE_REGISTRY": registryPrefix})))
	w.store.Before = storetest.Refuse("inspect", "", imagestore.ErrUnavailable)
	if ref, err := w.EnsureLocalImage(t.Context(), "claude-code"); err != nil || ref != given {
		t.Errorf("EnsureLocalImage: %q, %v", ref, err)
	}
	ref, err := w.EnsureLocalImage(t.Context(), "hermes")
	if err != nil || !strings.HasPrefix(ref, registryPrefix) {
		t.Errorf("EnsureLocalImage of another: %q, %v", ref, err)
	}
	w.store.Before = nil
	w.store.Put(imagestore.Image{ID: givenID, Platform: "linux/amd64"}, given)
	if img := w.ensure(t); img.Outcome != OutcomeGiven || img.Reference != given ||
		img.Mode != resolver.ModeRegistry {
		t.Errorf("%+v", img)
	}
	if res, err := w.Head(t.Context(), "claude-code"); err != nil || res.Reference != given ||
		res.Digest != "" {
		t.Errorf("Head: %+v, %v", res, err)
	}
	for _, res := range w.Templates() {
		if res.Name == "claude-code" && (res.Reference != given || resolver.IsMoving(given)) {
			t.Errorf("Templates: %+v", res)
		}
	}
}

func TestGivenImageRefused(t *testing.T) {
	here := imagestore.Image{ID: givenID, Platform: "linux/amd64"}
	for name, tc := range map[string]struct {
		more  string
		image imagestore.Image
		opts  []EnsureOption
		class Class
		says  string
	}{
		"not there": {image: imagestore.Image{ID: "sha256:other"}, class: ClassNotFound,
			says: "is not in the image store"},
		"another platform": {more: ", platform: linux/arm64", image: here, class: ClassUsage,
			says: "is for linux/amd64, not for linux/arm64"},
		"a commit": {image: here, opts: []EnsureOption{AtRevision(revision(t, shaA), true)},
			class: ClassUsage, says: "nothing is built"},
		"a tree":   {image: here, opts: []EnsureOption{AtPath(".")}, class: ClassUsage},
		"a push":   {image: here, opts: []EnsureOption{PushTo("r.example/x")}, class: ClassUsage},
		"no cache": {image: here, opts: []EnsureOption{NoCache()}, class: ClassUsage},
		"a pull":   {image: here, opts: []EnsureOption{Pull()}, class: ClassUsage},
		"a label":  {image: here, opts: []EnsureOption{Label("a", "b")}, class: ClassUsage},
	} {
		t.Run(name, func(t *testing.T) {
			w := givenWorld(t, givenID, tc.more)
			w.store.Put(tc.image, "some:name")
			img, err := w.Ensure(t.Context(), "claude-code", tc.opts...)
			if ClassOf(err) != tc.class || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%+v, %v (%s)", img, err, ClassOf(err))
			}
		})
	}
	t.Run("a store that is away", func(t *testing.T) {
		w := givenWorld(t, givenID, "")
		w.store.Before = storetest.Refuse("inspect", "", imagestore.ErrUnavailable)
		if _, err := w.Ensure(t.Context(), "claude-code"); ClassOf(err) != ClassStore {
			t.Errorf("%v (%s)", err, ClassOf(err))
		}
	})
	t.Run("by an ID that the store takes for another image", func(t *testing.T) {
		w := givenWorld(t, givenID, "")
		w.store.Put(imagestore.Image{ID: "sha256:other", Platform: "linux/amd64"}, givenID)
		if _, err := w.Ensure(t.Context(), "claude-code"); ClassOf(err) != ClassNotFound {
			t.Errorf("%v (%s)", err, ClassOf(err))
		}
	})
}
