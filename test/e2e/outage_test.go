package e2e_test

import (
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// outage is how long a registry is away in these tests.
const outage = 5 * time.Second

// TestRegistryOutage: the registry of the base image is away, from the start of a build or from the
// middle of a layer on. The command and the watcher build once it is there again, and nobody asks
// them twice.
func TestRegistryOutage(t *testing.T) {
	partstest.OnSomeDays(t)
	registry := partstest.Registry(t, parts.RegistryOptions{})
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl := s.template(t, runtime, parts.RepoOptions{})

		first := newBase(t, registry, s.prefix+"first")
		tmpl.push(t, first.dockerfile())
		first.front.Down(503, outage)
		started := time.Now()
		s.succeed(t, "ensure", runtime)
		if took := time.Since(started); took < outage {
			t.Errorf("the registry was away, and the build took %s", took)
		}
		first.sentOnce(t)

		_, srv := s.serve(t, "--watch", "--warm", runtime, "--watch-interval", "1s")
		second := newBase(t, registry, s.prefix+"second")
		second.front.BreakOff(second.layers[1], 3, func() { second.front.Down(0, outage) })
		sha := tmpl.push(t, second.dockerfile())
		if b := srv.waitFor(t, sha, pinion.BuildDone); !b.Prewarmed ||
			len(srv.buildsOf(t, sha)) != 1 {
			t.Errorf("builds are %+v", srv.buildsOf(t, sha))
		}
		second.sentOnce(t)
	})
}

// base is an image that no builder has, with three layers, behind a front of its own.
type base struct {
	front  *parts.Front
	image  string
	layers []string
}

func newBase(t *testing.T, registry *parts.Registry, name string) base {
	t.Helper()
	front, err := parts.NewFront(registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Close() })
	layers, err := registry.PushImage(t.Context(), name, "1", 1<<20, 4<<20, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return base{front, front.Host() + "/" + name + ":1", layers}
}

func (b base) dockerfile() parts.File {
	return parts.Text("Dockerfile", "FROM "+b.image+"\nCOPY Dockerfile /\n")
}

// sentOnce checks that no blob was sent whole a second time.
func (b base) sentOnce(t *testing.T) {
	t.Helper()
	whole := b.front.Whole()
	for digest, n := range whole {
		if n != 1 {
			t.Errorf("%s was sent %d times", digest, n)
		}
	}
	if whole[b.layers[0]] != 1 || whole[b.layers[2]] != 1 {
		t.Errorf("sent were %v", whole)
	}
}
