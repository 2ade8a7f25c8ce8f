package imagestore_test

import (
	"errors"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

func TestFailure(t *testing.T) {
	other := errors.New("something else")
	for _, c := range []struct {
		origin imagestore.Origin
		err    error
		text   string
		kinds  []error
	}{
		{imagestore.OriginDocker, other, "image store: docker: pull x: something else",
			[]error{imagestore.ErrStore, other}},
		{imagestore.OriginLayout, imagestore.ErrUnavailable,
			"image store: oci layout: pull x: unavailable",
			[]error{imagestore.ErrStore, imagestore.ErrUnavailable}},
		{imagestore.OriginRegistry, other, "registry: registry: pull x: something else",
			[]error{imagestore.ErrRegistry, imagestore.ErrUnavailable, other}},
		{imagestore.OriginRegistry, imagestore.ErrNotFound, "registry: registry: pull x: not found",
			[]error{imagestore.ErrRegistry, imagestore.ErrNotFound}},
		{imagestore.OriginRegistry, imagestore.ErrUnauthorized,
			"registry: registry: pull x: not authorized",
			[]error{imagestore.ErrRegistry, imagestore.ErrUnauthorized}},
	} {
		err := imagestore.Failure(&imagestore.Error{Op: "pull", Origin: c.origin,
			Ref: "x", Err: c.err})
		if err.Error() != c.text {
			t.Errorf("%q, want %q", err, c.text)
		}
		kinds := 0
		for _, kind := range []error{imagestore.ErrStore, imagestore.ErrRegistry,
			imagestore.ErrNotFound, imagestore.ErrUnavailable, imagestore.ErrUnauthorized, other} {
			if errors.Is(err, kind) {
				kinds++
			}
		}
		for _, kind := range c.kinds {
			if !errors.Is(err, kind) {
				t.Errorf("%q is not %q", err, kind)
			}
		}
		if kinds != len(c.kinds) {
			t.Errorf("%q is of %d kinds, not %d", err, kinds, len(c.kinds))
		}
	}
	if imagestore.Failure(nil) != nil || imagestore.StoreFailure(nil) != nil {
		t.Error("nil is a failure")
	}
}
