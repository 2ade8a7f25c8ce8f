package builder

import (
	"path/filepath"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

func TestBuildRef(t *testing.T) {
	home := t.TempDir()
	for _, c := range []struct {
		name string
		env  map[string]string
		by   buildkit.Info
		want string
	}{
		{"a node", nil, buildkit.Info{Kind: buildkit.KindBuildx, Endpoint: "team/team0"},
			"team/team0/r"},
		{"the plugin's choice of a node", nil,
			buildkit.Info{Kind: buildkit.KindBuildx, Endpoint: "team"}, ""},
		{"the engine's own", nil, buildkit.Info{Kind: buildkit.KindDocker,
			Endpoint: "unix:///run/docker.sock"}, "default/default/r"},
		{"the engine of a context that is gone", map[string]string{"DOCKER_CONTEXT": "gone"},
			buildkit.Info{Kind: buildkit.KindDocker}, ""},
		{"a buildkitd", nil, buildkit.Info{Kind: buildkit.KindBuildkitd,
			Endpoint: "unix:///team/team0"}, ""},
		{"the managed one", nil, buildkit.Info{Kind: buildkit.KindManaged,
			Endpoint: "unix:///team/team0"}, ""},
	} {
		env := map[string]string{"HOME": filepath.Join(home, "nobody")}
		for k, v := range c.env {
			env[k] = v
		}
		if got := config(env).BuildRef(c.by, "r"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
