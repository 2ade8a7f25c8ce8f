package docker_test

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestReceiveAttested: pulled by the engine, and loaded into one that cannot reach this process,
// complete either way.
func TestReceiveAttested(t *testing.T) {
	d := partstest.Dockerd(t, parts.Docker29Containerd)
	r := &receiver{Engine: dial(t, d.Host(), nil), host: d.Host(), kind: imagestore.KindContainerd,
		save: true}
	steps := func(t *testing.T, way buildkit.Via, r *receiver) {
		first := storetest.Attested(t, string(way)+" base", "top")
		if got := r.receive(t, "molecule-local/x:1", first); got.Method != buildkit.MethodFull ||
			got.Via != way {
			t.Errorf("first: %+v", got)
		}
		if got := r.receive(t, "molecule-local/x:2", first); got.LayersSent != 0 || got.Via != "" {
			t.Errorf("unchanged: %+v", got)
		}
		if got := r.receive(t, "molecule-local/x:3",
			storetest.Attested(t, string(way)+" base", "other top")); got.LayersSent != 1 ||
			got.LayersReused != 1 ||
			got.Via != way {
			t.Errorf("changed top: %+v", got)
		}
	}
	t.Run("pull", func(t *testing.T) { steps(t, buildkit.ViaPull, r) })
	t.Run("load", func(t *testing.T) {
		far := outOfReach(t, d)
		steps(t, buildkit.ViaLoad, far)
		lie := storetest.Attested(t, "never", "seen")
		far.earlier[0].Layers = append(far.earlier[0].Layers, lie.Digests[0])
		if got := far.receive(t, "molecule-local/x:lie", lie); got.Method != buildkit.MethodFull ||
			got.LayersSent != 2 {
			t.Errorf("after a lie: %+v", got)
		}
	})
}
