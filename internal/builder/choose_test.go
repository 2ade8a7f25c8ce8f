package builder

import (
	"errors"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/layout"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// config is a configuration from an environment, in which nothing but buildx's variable names a
// builder.
func config(env map[string]string) Config {
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	name, _ := lookup("BUILDX_BUILDER")
	return Config{Lookup: lookup, Name: name, Engine: docker.Config{Lookup: lookup}}
}

func folder(t *testing.T) *imagestore.Facts {
	t.Helper()
	l, err := layout.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return imagestore.NewFacts(l)
}

func engine(t *testing.T, c Config) *imagestore.Facts {
	t.Helper()
	e, err := docker.Dial(c.Engine)
	if err != nil {
		t.Fatal(err)
	}
	return imagestore.NewFacts(e)
}

func TestChosenBuilderForFolder(t *testing.T) {
	const nowhere = "unix:///nowhere/docker.sock"
	for _, c := range []struct {
		name   string
		env    map[string]string
		engine bool
		why    string
	}{
		{"containerd store",
			map[string]string{"DOCKER_HOST": storetest.StartFake(t, imagestore.KindContainerd,
				"1.52").Host()}, true, "answers"},
		{"classic store",
			map[string]string{"DOCKER_HOST": storetest.StartFake(t, imagestore.KindClassic,
				"1.52").Host()}, false, "classic image store"},
		{"named and not there", map[string]string{"DOCKER_HOST": nowhere}, false, ""},
		{"unknown context", map[string]string{"DOCKER_CONTEXT": "unknown"}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.env["HOME"] = t.TempDir()
			got, err := config(c.env).Choose(t.Context(), folder(t))
			if c.why == "" {
				if !errors.Is(err, buildkit.ErrNoBuilder) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || (got.Kind == KindEngine) != c.engine ||
				got.Kind == KindEngine && !got.ThroughSink || !strings.Contains(got.Why, c.why) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestChosenBuilderForEngine(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.41")
	c := config(map[string]string{"DOCKER_HOST": fake.Host(), "HOME": t.TempDir()})
	got, err := c.Choose(t.Context(), engine(t, c))
	if err != nil || got.Kind != KindEngine || got.Engine == nil || got.ThroughSink {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The engine's own BuildKit, named, is no reason to start the managed one for a folder.
func TestNamedEngineThatCannot(t *testing.T) {
	host := storetest.StartFake(t, imagestore.KindClassic, "1.52").Host()
	c := config(map[string]string{"DOCKER_HOST": host, "BUILDX_BUILDER": "default",
		"HOME": t.TempDir()})
	if _, err := c.Choose(t.Context(), folder(t)); !errors.Is(err, buildkit.ErrNoBuilder) ||
		!strings.Contains(err.Error(), "classic") {
		t.Errorf("got %v", err)
	}
}
