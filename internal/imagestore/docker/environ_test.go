package docker_test

import (
	"slices"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
)

func TestEnviron(t *testing.T) {
	for _, c := range []struct {
		name          string
		cfg           docker.Config
		env           map[string]string
		host, context string
	}{
		{"nothing", docker.Config{}, nil, "", ""},
		{"variables", docker.Config{},
			map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "c"}, "tcp://h:1", "c"},
		{"host before variables", docker.Config{Host: "tcp://f:1"},
			map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "c"}, "tcp://f:1", ""},
		{"context before variables", docker.Config{Context: "f"},
			map[string]string{"DOCKER_HOST": "tcp://h:1", "DOCKER_CONTEXT": "c"}, "", "f"},
		{"the default context is DOCKER_HOST's", docker.Config{Context: "default"},
			map[string]string{"DOCKER_HOST": "tcp://h:1"}, "tcp://h:1", "default"},
	} {
		c.cfg.Lookup = func(name string) (string, bool) {
			v, ok := c.env[name]
			if name == "DOCKER_TLS_VERIFY" || name == "DOCKER_CONFIG" {
				return "/1", true
			}
			return v, ok
		}
		want := []string{
			"DOCKER_HOST=" + c.host, "DOCKER_CONTEXT=" + c.context,
			"DOCKER_TLS=", "DOCKER_TLS_VERIFY=/1", "DOCKER_CERT_PATH=", "DOCKER_CONFIG=/1",
		}
		if got := c.cfg.Environ(); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", c.name, got, want)
		}
	}
}
