package verify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
)

// deliver brings an image into the store as each kind of builder does: "engine" puts it under the
// temporary name itself, "outside" sends it through the sink.
func (w *world) deliver(t *testing.T, by string, img imagestore.Image) *verify.Arrival {
	t.Helper()
	a := w.arrival()
	if by == "engine" {
		w.store.Put(img, a.Name())
		return a
	}
	w.store.Expect(img)
	if _, err := a.Receive(t.Context(), buildkit.Solved{Reference: a.Name()},
		func(int) {}); err != nil {
		t.Fatal(err)
	}
	return a
}

// forEachDelivery runs a test with both kinds of stores and builders.
func forEachDelivery(t *testing.T, run func(t *testing.T, w *world, by string)) {
	t.Helper()
	for _, kind := range kinds {
		for _, by := range []string{"engine", "outside"} {
			t.Run(fmt.Sprint(kind, " ", by), func(t *testing.T) { run(t, newWorld(t, kind), by) })
		}
	}
}

func TestAdopt(t *testing.T) {
	forEachDelivery(t, func(t *testing.T, w *world, by string) {
		want, res := w.image()
		got, err := w.deliver(t, by, want).Adopt(t.Context(), res, true)
		if err != nil || got.ID != want.ID || got.Kind != w.store.Kind || len(got.Warnings) > 0 {
			t.Errorf("%+v, %v", got, err)
		}
		w.wantTags(t, w.recipe.Reference(), w.recipe.Latest())
		if w.store.References()[w.recipe.Reference()] != want.ID ||
			w.store.References()[w.recipe.Latest()] != want.ID {
			t.Errorf("tags are %v", w.store.References())
		}
		gone := w.store.Untagged
		if len(gone) != 1 || strings.HasPrefix(gone[0], "127.0.0.1:4000/") != (by == "outside") {
			t.Errorf("untagged %q", gone)
		}
	})
}

// TestAdoptAsksABusyStoreAgain: a store that does not answer in time may be busy.
func TestAdoptAsksABusyStoreAgain(t *testing.T) {
	forEachDelivery(t, func(t *testing.T, w *world, by string) {
		img, res := w.image()
		a := w.deliver(t, by, img)
		silent := map[string]bool{}
		w.store.Before = func(op, ref string) error {
			if op != "inspect" || silent[ref] {
				return nil
			}
			silent[ref] = true
			return imagestore.ErrUnavailable
		}
		if got, err := a.Adopt(t.Context(), res, false); err != nil || got.ID != img.ID {
			t.Errorf("%+v, %v", got, err)
		}
		if !silent[w.recipe.Reference()] {
			t.Error("the name was not checked")
		}
	})
}

func TestAdoptWithoutLatest(t *testing.T) {
	forEachDelivery(t, func(t *testing.T, w *world, by string) {
		img, res := w.image()
		w.store.Put(imagestore.Image{ID: "sha256:newer"}, w.recipe.Latest())
		if _, err := w.deliver(t, by, img).Adopt(t.Context(), res, false); err != nil {
			t.Error(err)
		}
		w.wantTags(t, w.recipe.Reference(), w.recipe.Latest())
		if w.store.References()[w.recipe.Latest()] != "sha256:newer" {
			t.Errorf("tags are %v", w.store.References())
		}
	})
}

// TestAdoptLatestFails: the name is a convenience.
func TestAdoptLatestFails(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	img, res := w.image()
	w.store.Before = storetest.Refuse("tag", w.recipe.Latest(), errors.New("refused"))
	got, err := w.deliver(t, "engine", img).Adopt(t.Context(), res, true)
	if err != nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "refused") {
		t.Errorf("%+v, %v", got, err)
	}
	w.wantTags(t, w.recipe.Reference())
}

// TestFault40_WhatArrivedIsVerified: another image than the one that was built leaves nothing.
func TestFault40_WhatArrivedIsVerified(t *testing.T) {
	for name, spoil := range map[string]func(*imagestore.Image){
		"another ID":       func(i *imagestore.Image) { i.ID = "sha256:other" },
		"another label":    func(i *imagestore.Image) { i.Labels[recipe.LabelRevision] = shaB },
		"no labels":        func(i *imagestore.Image) { i.Labels = nil },
		"another platform": func(i *imagestore.Image) { i.Platform = "linux/riscv64" },
	} {
		t.Run(name, func(t *testing.T) {
			forEachDelivery(t, func(t *testing.T, w *world, by string) {
				img, res := w.image()
				spoil(&img)
				got, err := w.deliver(t, by, img).Adopt(t.Context(), res, true)
				if !errors.Is(err, verify.ErrVerification) || errors.Is(err, imagestore.ErrStore) ||
					got.ID != "" {
					t.Errorf("%+v, %v", got, err)
				}
				w.wantTags(t)
				if len(w.store.Images) != 0 {
					t.Errorf("left are %v", w.store.Images)
				}
			})
		})
	}
}

// TestAdoptTheOneDigest: Docker Engine 20.10 reports the config's digest under the manifest's name.
func TestAdoptTheOneDigest(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	img, res := w.image()
	one := buildkit.Result{ManifestDigest: res.ConfigDigest}
	if got, err := w.deliver(t, "engine", img).Adopt(t.Context(), one, true); err != nil ||
		got.ID != res.ConfigDigest {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestAdoptTheOtherDigest: the ID of the other kind of store is another image's.
func TestAdoptTheOtherDigest(t *testing.T) {
	for _, kind := range kinds {
		w := newWorld(t, kind)
		img, res := w.image()
		res.ConfigDigest, res.ManifestDigest = res.ManifestDigest, res.ConfigDigest
		if _, err := w.deliver(t, "outside", img).Adopt(t.Context(), res, true); !errors.Is(err,
			verify.ErrVerification) {
			t.Errorf("%s: error is %v", kind, err)
		}
	}
}

func TestAdoptNameMovedMeanwhile(t *testing.T) {
	forEachDelivery(t, func(t *testing.T, w *world, by string) {
		img, res := w.image()
		a := w.deliver(t, by, img)
		w.store.Before = func(op, ref string) error {
			if op == "inspect" && ref == w.recipe.Reference() {
				w.store.Put(imagestore.Image{ID: "sha256:foreign"}, ref)
			}
			return nil
		}
		_, err := a.Adopt(t.Context(), res, false)
		if !errors.Is(err, verify.ErrVerification) || !strings.Contains(err.Error(), "moved") {
			t.Errorf("error is %v", err)
		}
		w.wantTags(t, w.recipe.Reference())
	})
}

func TestAdoptOfAFailingStore(t *testing.T) {
	for _, op := range []string{"info", "inspect", "tag"} {
		w := newWorld(t, imagestore.KindClassic)
		img, res := w.image()
		a := w.deliver(t, "engine", img)
		w.store.Before = storetest.Refuse(op, "", imagestore.ErrUnavailable)
		_, err := a.Adopt(t.Context(), res, true)
		if !errors.Is(err, imagestore.ErrStore) || !errors.Is(err, imagestore.ErrUnavailable) ||
			errors.Is(err, verify.ErrVerification) {
			t.Errorf("%s: error is %v", op, err)
		}
		w.wantTags(t)
	}
}

// TestAdoptWhatIsThere: the image is in the store already, though no record says so.
func TestAdoptWhatIsThere(t *testing.T) {
	for name, leave := range map[string]func(w *world, id, temporary string) map[string]string{
		"with its names": func(w *world, id, _ string) map[string]string {
			return map[string]string{w.recipe.Reference(): id, w.recipe.Latest(): id}
		},
		"without": func(_ *world, id, _ string) map[string]string {
			return map[string]string{"mine:1": id}
		},
		"with the temporary name alone": func(_ *world, id, temporary string) map[string]string {
			return map[string]string{temporary: id}
		},
		"with the temporary name on another": func(w *world, id, temporary string,
		) map[string]string {
			w.store.Images["sha256:other"] = imagestore.Image{ID: "sha256:other"}
			return map[string]string{w.recipe.Reference(): id, w.recipe.Latest(): id,
				"mine:1": "sha256:other", temporary: "sha256:other"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, imagestore.KindClassic)
			img, res := w.image()
			w.store.Images[img.ID] = img
			w.store.Tags = leave(w, img.ID, w.arrival().Name())
			want := []string{w.recipe.Reference(), w.recipe.Latest()}
			if _, mine := w.store.Tags["mine:1"]; mine {
				want = append(want, "mine:1")
			}
			got, err := w.deliver(t, "outside", img).Adopt(t.Context(), res, true)
			if err != nil || got.ID != img.ID {
				t.Errorf("%+v, %v", got, err)
			}
			w.wantTags(t, want...)
			if w.store.References()[w.recipe.Reference()] != img.ID {
				t.Errorf("tags are %v", w.store.References())
			}
		})
	}
}

// TestDiscard also works after the caller has gone.
func TestDiscard(t *testing.T) {
	forEachDelivery(t, func(t *testing.T, w *world, by string) {
		img, res := w.image()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.deliver(t, by, img).Discard(ctx)
		w.wantTags(t)
		a := w.deliver(t, by, img)
		if _, err := a.Adopt(ctx, res, true); !errors.Is(err, context.Canceled) ||
			!errors.Is(err, imagestore.ErrStore) {
			t.Errorf("error is %v", err)
		}
		w.wantTags(t)
	})
}

func TestPredecessor(t *testing.T) {
	const first, foreign, asked = verify.CauseNew, verify.CauseForeign, verify.CauseAsked
	for name, c := range map[string]struct {
		miss        verify.Cause
		there, same bool
		reason      string
	}{
		"none":           {first, false, false, "the text"},
		"the same image": {first, true, true, "adopted"},
		"another image": {first, true, false,
			"no record of the image that has this name, and the build came to another one"},
		"foreign, same":    {foreign, true, true, "adopted"},
		"foreign, another": {foreign, true, false, "the text"},
		"asked for":        {asked, true, true, "the text"},
	} {
		w := newWorld(t, imagestore.KindClassic)
		img, _ := w.image()
		if c.there {
			w.store.Put(img, w.recipe.Reference())
		}
		miss := verify.Miss{Cause: c.miss, Text: "the text"}
		before := <-verify.FindPredecessor(t.Context(), w.store, w.recipe, miss)
		after := img.ID
		if !c.same {
			after = "sha256:other"
		}
		if got := verify.Reason(miss, before, after); got != c.reason {
			t.Errorf("%s: %q, want %q", name, got, c.reason)
		}
		if c.there && (before == "") != (c.miss == asked) {
			t.Errorf("%s: the predecessor is %q", name, before)
		}
	}
}
