package docker_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// corrupt answers like an engine that lacks a part of an image.
func corrupt(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, `{"message":"layer does not exist"}`)
}

// badGateway answers like a proxy whose engine is down.
func badGateway(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusBadGateway)
}

// TestFault64_ForeignImage: its layers cannot be used, and other images are received as ever.
func TestFault64_ForeignImage(t *testing.T) {
	r, fake := newFakeReceiver(t, imagestore.KindClassic, "1.52")
	foreign := storetest.Build(storetest.Spec{Tag: "somebody/else:1", Content: "x"})
	if err := r.Load(t.Context(), bytes.NewReader(foreign.Tar), ""); err != nil {
		t.Fatal(err)
	}
	inspect := "GET /images/" + foreign.ID(imagestore.KindClassic) + "/json"
	fake.Handle(inspect, corrupt)
	got := r.receive(t, ref, storetest.NewLayered(t, "base", "top"))
	if got.LayersSent != 2 {
		t.Errorf("%+v", got)
	}
	fake.Handle(inspect, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := r.Receive(t.Context(), storetest.NewLayered(t, "other").Transfer(ref))
	wantUnavailable(t, err, "inspect")
}

// TestFault64_Unreadable distinguishes an image that an engine cannot describe from an engine that
// answers nothing.
func TestFault64_Unreadable(t *testing.T) {
	for name, c := range map[string]struct {
		inspect, ping http.HandlerFunc
		kinds         []error
	}{
		"one image":   {corrupt, nil, []error{imagestore.ErrUnreadable}},
		"a gateway":   {badGateway, badGateway, nil},
		"no other":    {corrupt, corrupt, []error{imagestore.ErrUnavailable}},
		"not allowed": {forbidden, nil, nil},
	} {
		r, fake := newFakeReceiver(t, imagestore.KindClassic, "1.52")
		if _, err := r.Info(t.Context()); err != nil {
			t.Fatal(err)
		}
		fake.Handle("GET /images/x:1/json", c.inspect)
		fake.Handle("HEAD /_ping", c.ping)
		fake.Handle("GET /_ping", c.ping)
		for _, inspect := range []func() (imagestore.Image, error){
			func() (imagestore.Image, error) { return r.Inspect(t.Context(), "x:1") },
			func() (imagestore.Image, error) {
				return r.InspectPlatform(t.Context(), "x:1", "linux/amd64")
			},
		} {
			_, err := inspect()
			kinds := 0
			for _, kind := range []error{imagestore.ErrUnreadable, imagestore.ErrUnavailable,
				imagestore.ErrNotFound} {
				if errors.Is(err, kind) {
					kinds++
				}
			}
			if want := min(len(c.kinds), 1); err == nil || kinds != want ||
				want > 0 && !errors.Is(err, c.kinds[0]) {
				t.Errorf("%s: error is %v", name, err)
			}
		}
	}
}

func forbidden(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
