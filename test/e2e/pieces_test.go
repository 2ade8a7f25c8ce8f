package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestPushThroughALimit: a proxy before the registry refuses bodies over 3 MB. The images get there
// from each store, others pull them and run the same image, a later commit sends only what is new,
// and what is there is not sent again.
func TestPushThroughALimit(t *testing.T) {
	partstest.OnSomeDays(t)
	d := newDepot(t)
	var passed atomic.Int64 // bytes of blobs
	limit := parts.LimitBody(3 << 20)
	d.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
		if limit(w, r) {
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/uploads/") {
			passed.Add(r.ContentLength)
		}
		return false
	})
	defer d.SetHook(nil)
	cells := []cell{containerdOwn, classicOwn, oldOwn}
	onCellsAndInAFolder(t, cells, func(t *testing.T, s *scene, isFolder bool) {
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		large := "RUN dd if=/dev/urandom of=/noise bs=1M count=8"
		tmpl.busybox(t, large, "RUN date +%s%N > /once", "CMD cat /once")
		u := d.withLogin(t, s.user, depotPassword)
		prefix := d.host + "/" + s.prefix + "x"
		repository := s.prefix + "x/workspace-template-hermes"
		img := parseImage(t, u.succeed(t, pushArgs(prefix)...))
		digest, m := d.manifest(t, repository, "latest")
		if len(img.Pushed) != 2 || img.Pushed[0].Digest != digest ||
			img.Pushed[1].Digest != digest || len(img.Warnings) != 0 ||
			img.ID != digest && img.ID != m.Config.Digest.String() {
			t.Fatalf("the registry has %s with %s: %+v", digest, m.Config.Digest, img)
		}
		d.Reset()
		again := parseImage(t, u.succeed(t, pushArgs(prefix)...))
		if n := d.Count("/blobs/uploads/"); !slices.Equal(again.Pushed, img.Pushed) || n != 0 {
			t.Errorf("again: %+v, %d requests to upload", again.Pushed, n)
		}

		there := newScene(t, classicOwn)
		b := d.withLogin(t, there.with("MOLECULE_IMAGE_REGISTRY", prefix), depotPassword)
		got := parseImage(t, b.succeed(t, "ensure", runtime, "--format", "json"))
		if got.Outcome != pinion.OutcomePulled {
			t.Fatalf("got %+v", got)
		}
		word := there.runContainer(t, got.ID)
		if !isFolder && (word != s.runContainer(t, img.ID) ||
			!slices.Equal(there.layers(t, got.ID), s.layers(t, img.ID))) {
			t.Error("it is another image")
		}

		if s.cell == classicOwn {
			return // this engine tries what was refused for a minute
		}
		tmpl.busybox(t, large, "RUN echo later > /once", "CMD cat /once")
		passed.Store(0)
		u.succeed(t, pushArgs(prefix)...)
		if n := passed.Load(); n == 0 || n > 4<<20 {
			t.Errorf("the large layer was sent again: %d bytes", n)
		}
	})
}
