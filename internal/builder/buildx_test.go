package builder

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
)

// putBuildx writes a file of buildx below a home.
func putBuildx(t *testing.T, home, name, text string) {
	t.Helper()
	path := filepath.Join(home, ".docker", "buildx", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The plugin sees the engine in use, however that was named, and none of the secrets.
func TestPluginsEnvironment(t *testing.T) {
	home := t.TempDir()
	log := filepath.Join(home, "log")
	for name, value := range map[string]string{
		"DOCKER_HOST": "tcp://stale:1", "DOCKER_CONTEXT": "stale", "KUBECONFIG": "/kube",
		"DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND": "secret: that we are a plugin",
		"TEAM_GIT_TOKEN":                         "secret-d",
	} {
		t.Setenv(name, value)
	}
	putBuildx(t, home, "instances/far",
		`{"Name":"far","Driver":"kubernetes",`+
			`"Nodes":[{"Name":"n","Endpoint":"kubernetes:///far"}]}`)
	plugin := filepath.Join(home, ".docker", "cli-plugins", "docker-buildx")
	script := "#!/bin/sh\n{ echo call=$1; env; } >> " + log + "\necho Status: running\necho '{}'\n"
	if err := errors.Join(os.MkdirAll(filepath.Dir(plugin), 0o700),
		os.WriteFile(plugin, []byte(script), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		env           map[string]string
		engine        docker.Config
		host, context string
	}{
		{"variables of `docker --context`", map[string]string{"DOCKER_CONTEXT": "there"},
			docker.Config{}, "", "there"},
		{"variables of `docker --host`", map[string]string{"DOCKER_HOST": "tcp://h:1"},
			docker.Config{},
			"tcp://h:1", ""},
		{"a flag for the context", map[string]string{"DOCKER_HOST": "tcp://h:1"},
			docker.Config{Context: "flag"}, "", "flag"},
		{"a flag for the host", map[string]string{"DOCKER_CONTEXT": "there"},
			docker.Config{Host: "tcp://flag:1"}, "tcp://flag:1", ""},
	} {
		env := map[string]string{"HOME": home}
		for k, v := range c.env {
			env[k] = v
		}
		cfg := config(env)
		c.engine.Lookup = cfg.Lookup
		cfg.Engine, cfg.Secrets = c.engine, func() []string { return []string{"TEAM_GIT_TOKEN"} }
		b, err := cfg.buildxFolder().Builder("far")
		if err != nil {
			t.Fatal(err)
		}
		to, err := cfg.node(b, buildx.Node{}, "")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := to.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // to the script's end
		conn.Close()
		if _, _, _, err := cfg.BuildxVersion(t.Context()); err == nil {
			t.Error("the script says no version")
		}
		logged, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		calls := strings.Split(string(logged), "call=")[1:]
		for _, call := range calls {
			for _, line := range []string{"DOCKER_HOST=" + c.host, "DOCKER_CONTEXT=" + c.context,
				"KUBECONFIG=/kube"} {
				if !strings.Contains(call, "\n"+line+"\n") {
					t.Errorf("%s: no %s in\n%s", c.name, line, call)
				}
			}
			if strings.Contains(call, "secret") {
				t.Errorf("%s: a secret in\n%s", c.name, call)
			}
		}
		if len(calls) != 3 || os.Remove(log) != nil { // inspect, dial-stdio, its version
			t.Errorf("%s: %d calls", c.name, len(calls))
		}
	}
}
