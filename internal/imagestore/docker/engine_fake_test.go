package docker_test

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

func TestConformanceFake(t *testing.T) { onFakes(t, storetest.Run) }

func TestFault35_IDOutlivesMovedTag(t *testing.T) { onFakes(t, storetest.MovedTag) }

func TestFault40_BrokenLoads(t *testing.T) { onFakes(t, storetest.BrokenLoads) }

func TestFault42_TagAgainByID(t *testing.T) { onFakes(t, storetest.TagByID) }

// onFakes runs a part of the suite on each kind of store, before and after the
// API versions from which requests are made otherwise.
func onFakes(t *testing.T, run func(*testing.T, imagestore.Store, imagestore.Kind)) {
	for _, c := range []struct {
		kind imagestore.Kind
		api  string
	}{
		{imagestore.KindClassic, "1.41"},
		{imagestore.KindClassic, "1.52"},
		{imagestore.KindContainerd, "1.47"},
		{imagestore.KindContainerd, "1.52"},
	} {
		t.Run(string(c.kind)+" "+c.api, func(t *testing.T) {
			fake := storetest.StartFake(t, c.kind, c.api)
			run(t, dial(t, fake.Host(), nil), c.kind)
		})
	}
}

// dial reaches an engine with nothing in the environment but env.
func dial(t *testing.T, host string, env map[string]string) *docker.Engine {
	t.Helper()
	engine, err := docker.Dial(docker.Config{Host: host, ConfigDir: t.TempDir(),
		Lookup: lookup(env)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}
