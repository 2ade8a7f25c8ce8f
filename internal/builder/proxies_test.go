package builder

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProxiesOfTheDockerConfig come from the file alone, the host's own before the default.
func TestProxiesOfTheDockerConfig(t *testing.T) {
	const host = "tcp://engine.example:2376"
	const file = `{"proxies": {
		"default": {"httpProxy": "http://default.example:3128", "noProxy": "*.default.example"},
		"` + host + `": {"httpsProxy": "http://host.example:3128"}}}`
	t.Setenv("HTTP_PROXY", "http://environment.example:3128")
	t.Setenv("HTTPS_PROXY", "http://environment.example:3128")
	t.Setenv("ALL_PROXY", "http://environment.example:3128")
	for name, c := range map[string]struct {
		file, host string
		want       map[string]string
	}{
		"of the default": {file, "unix:///run/docker.sock", map[string]string{
			"HTTP_PROXY": "http://default.example:3128", "NO_PROXY": "*.default.example"}},
		"of the host": {file, host, map[string]string{
			"HTTPS_PROXY": "http://host.example:3128"}},
		"none": {"{}", host, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "config.json")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			config := config(map[string]string{"DOCKER_CONFIG": dir, "DOCKER_HOST": c.host,
				"HTTP_PROXY": os.Getenv("HTTP_PROXY")})
			loaded, err := config.Engine.DockerConfig()
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			for variable, value := range c.want { // in both cases, as `docker build` passes them
				want[variable], want[strings.ToLower(variable)] = value, value
			}
			if got := config.proxies(loaded); !maps.Equal(got, want) {
				t.Errorf("got %v, not %v", got, want)
			}
		})
	}
}
