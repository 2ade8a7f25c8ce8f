package docker_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// TestPushGivesTheNameBack: the name of a push, which fails or is cancelled here, means afterwards
// what it meant before, unless another program has moved it.
func TestPushGivesTheNameBack(t *testing.T) {
	const name = "r.example/team/x:1"
	for _, kind := range []imagestore.Kind{imagestore.KindClassic, imagestore.KindContainerd} {
		for place, c := range map[string]struct {
			before, meanwhile, want int
			cancelled               bool
		}{
			"free":                {-1, -1, -1, false},
			"taken":               {1, -1, 1, false},
			"moved":               {1, 2, 2, false},
			"free and cancelled":  {-1, -1, -1, true},
			"taken and cancelled": {1, -1, 1, true},
		} {
			r, fake := newFakeReceiver(t, kind, "1.47")
			var ids []string
			for _, other := range []string{"molecule-local/x:0", "molecule-local/x:1",
				"molecule-local/x:2"} {
				r.receive(t, other, storetest.NewLayered(t, other))
				ids = append(ids, idOf(t, r, other))
			}
			tag := func(image int) {
				if image < 0 {
					return
				}
				if err := r.Tag(t.Context(), ids[image], name); err != nil {
					t.Error(err)
				}
			}
			tag(c.before)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			fake.Handle("POST /images/r.example/team/x/push",
				func(w http.ResponseWriter, _ *http.Request) {
					if got := idOf(t, r, name); got != ids[0] {
						t.Errorf("%s is pushed", got)
					}
					tag(c.meanwhile)
					if c.cancelled {
						cancel()
					}
					http.Error(w, `{"message":"no"}`, http.StatusInternalServerError)
				})
			push := imagestore.Push{ID: ids[0], Ref: name}
			if _, err := r.Push(ctx, push, nil); err == nil {
				t.Error("the push succeeded")
			}
			want := ""
			if c.want >= 0 {
				want = ids[c.want]
			}
			if got := idOf(t, r, name); got != want {
				t.Errorf("%s, %s: the name is %q, not %q", kind, place, got, want)
			}
		}
	}
}

// idOf returns the ID of the image with a name, "" if there is none.
func idOf(t *testing.T, r *receiver, name string) string {
	t.Helper()
	img, err := r.Inspect(t.Context(), name)
	if err != nil && !errors.Is(err, imagestore.ErrNotFound) {
		t.Error(err)
	}
	return img.ID
}
