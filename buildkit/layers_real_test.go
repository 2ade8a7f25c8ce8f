package buildkit_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestLayerUnavailable: Docker's classic stores fetch all layers at FROM, and try for a minute.
func TestLayerUnavailable(t *testing.T) {
	lazy := []string{"buildkitd", string(parts.Docker29Containerd)}
	onEachOf(t, partstest.Sample(t, lazy), layerUnavailable)
}

// layerUnavailable: a layer is fetched when the first step needs it, or after the last. What a
// registry does not give for now is no fault of that step.
func layerUnavailable(t *testing.T, b *bench) {
	defer buildkit.SetSourcePauses()()
	registry := partstest.Registry(t, parts.RegistryOptions{})
	front := partstest.Proxy(t, registry.URL())
	var layer atomic.Value
	fails := func(answer func(w http.ResponseWriter)) parts.Hook {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, layer.Load().(string)) {
				return false
			}
			answer(w)
			return true
		}
	}
	down := fails(func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
	empty := fails(func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) })
	denied := fails(func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) })
	for i, c := range []struct {
		dockerfile string
		hook       parts.Hook
		want       error
	}{
		{"FROM IMAGE\nRUN true", down, buildkit.ErrSource},
		{"FROM IMAGE\nRUN true", empty, buildkit.ErrSource},
		{"FROM IMAGE\nRUN true", denied, buildkit.ErrBuild},
		{"FROM IMAGE\nLABEL a=b", down, buildkit.ErrSource},
		{"FROM busybox\nRUN --mount=from=IMAGE,target=/m true", down, buildkit.ErrSource},
		{"# syntax=IMAGE\nFROM scratch", down, buildkit.ErrSource},
	} {
		name := fmt.Sprintf("layer%d", i)
		layers, err := registry.PushImage(t.Context(), name, "1", 1<<10, 1<<10)
		if err != nil {
			t.Fatal(err)
		}
		layer.Store(layers[1])
		front.SetHook(c.hook)
		image := strings.TrimPrefix(front.URL(), "http://") + "/" + name
		dockerfile := strings.ReplaceAll(c.dockerfile, "IMAGE", image+":1")
		req := b.template(t, name, parts.Text("Dockerfile", dockerfile+"\n"))
		if line, ok := strings.CutPrefix(dockerfile, "FROM busybox\n"); ok {
			req = b.busybox(t, name, []string{line})
		}
		req.AllowedFrontends = []string{image}
		_, _, err = solve(t, b, req)
		wantKind(t, c.dockerfile, err, c.want)
		t.Logf("%q: %v", c.dockerfile, err)
	}
}
