package pinion

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
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

// What is named comes before what is selected, flags before variables, and an address before a
// name.
func TestOrderOfBuilders(t *testing.T) {
	home := t.TempDir()
	host := storetest.StartFake(t, imagestore.KindContainerd, "1.52").Host()
	for _, name := range []string{"one", "two", "managed"} {
		putBuildx(t, home, "instances/"+name,
			fmt.Sprintf(
				`{"Name":%q,"Driver":"remote","Nodes":[{"Name":"n","Endpoint":"unix:///nowhere/%[1]s"}]}`, name,
			))
	}
	putBuildx(t, home, "current", fmt.Sprintf(`{"Key":%q,"Name":"one"}`, host))
	for _, c := range []struct {
		name string
		env  map[string]string
		opts []Option
		want string // what the error of the connection names
	}{
		{"selected", nil, nil, "one/n"},
		{"variable", map[string]string{"BUILDX_BUILDER": "two"}, nil, "two/n"},
		{"flag before variable", map[string]string{"BUILDX_BUILDER": "one"},
			[]Option{WithBuildxBuilder("two")}, "two/n"},
		{"address before variable", map[string]string{"BUILDX_BUILDER": "one",
			"BUILDKIT_HOST": "unix:///nowhere/x"}, nil, "unix:///nowhere/x"},
		{"flag before address", map[string]string{"BUILDKIT_HOST": "unix:///nowhere/x"},
			[]Option{WithBuildxBuilder("two")}, "two/n"},
		{"address flag before variable", map[string]string{"BUILDX_BUILDER": "one"},
			[]Option{WithBuilder("unix:///nowhere/x", TLS{})}, "unix:///nowhere/x"},
		{"one that is called managed", map[string]string{"BUILDX_BUILDER": "managed"}, nil,
			"managed/n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{"HOME": home, "DOCKER_HOST": host}
			for k, v := range c.env {
				env[k] = v
			}
			lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
			o, err := New(append([]Option{OptionsFromEnv(lookup)}, c.opts...)...)
			if err != nil {
				t.Fatal(err)
			}
			st, err := o.store()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.connect(t.Context(), st, "linux/amd64"); !errors.Is(err, ErrNoBuilder) ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// The engine's own BuildKit, named, is no reason to start the managed one for a folder.
func TestNamedEngineThatCannot(t *testing.T) {
	host := storetest.StartFake(t, imagestore.KindClassic, "1.52").Host()
	s := withStore(t, StoreOCI+t.TempDir(),
		map[string]string{"DOCKER_HOST": host, "BUILDX_BUILDER": "default"})
	st, err := s.openStore()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.choose(t.Context(), st); !errors.Is(err, ErrNoBuilder) ||
		!strings.Contains(err.Error(), "classic") {
		t.Errorf("got %v", err)
	}
}

func TestDoctorOnBuildx(t *testing.T) {
	for script, c := range map[string]struct {
		status Status
		word   string
	}{
		`echo '{"Version":"v0.38.2"}'`:       {StatusOK, "v0.38.2"},
		`echo '{"Version":"v0.21.2"}'`:       {StatusWarn, "CVE-2025-0495"},
		`echo '{"Version":"0.0.0-unknown"}'`: {StatusWarn, "CVE-2025-0495"},
		`echo '{"Version":"dev"}'`:           {StatusWarn, "not known"},
		`exit 3`:                             {StatusWarn, "exit status 3"},
		`echo nonsense`:                      {StatusWarn, "metadata"},
	} {
		home := t.TempDir()
		plugin := filepath.Join(home, ".docker", "cli-plugins", "docker-buildx")
		if err := os.MkdirAll(filepath.Dir(plugin), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(plugin, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t)
		env := map[string]string{"HOME": home}
		w.settings.lookup = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
		got := checkNamed(t, w.Doctor(t.Context()), "buildx")
		if got.Status != c.status || !strings.Contains(got.Detail, c.word) {
			t.Errorf("%s: %+v", script, got)
		}
	}
}

// The plugin sees the engine that was named to Pinion, however that was done, and none of Pinion's
// secrets.
func TestPluginsEnvironment(t *testing.T) {
	home := t.TempDir()
	log, config := filepath.Join(home, "log"), filepath.Join(home, "config.yaml")
	for name, value := range map[string]string{
		"DOCKER_HOST": "tcp://stale:1", "DOCKER_CONTEXT": "stale", "KUBECONFIG": "/kube",
		"DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND": "secret: that we are a plugin",
		EnvToken:                                 "secret-a", EnvServeToken: "secret-b",
		EnvHookSecret: "secret-c", "TEAM_GIT_TOKEN": "secret-d",
	} {
		t.Setenv(name, value)
	}
	putBuildx(t, home, "instances/far",
		`{"Name":"far","Driver":"kubernetes","Nodes":[{"Name":"n","Endpoint":"kubernetes:///far"}]}`)
	plugin := filepath.Join(home, ".docker", "cli-plugins", "docker-buildx")
	script := "#!/bin/sh\n{ echo call=$1; env; } >> " + log + "\necho Status: running\necho '{}'\n"
	text := "credentials:\n  - host: git.example\n    token_env: TEAM_GIT_TOKEN\n"
	if err := errors.Join(os.MkdirAll(filepath.Dir(plugin), 0o700),
		os.WriteFile(plugin, []byte(script), 0o700),
		os.WriteFile(config, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		env           map[string]string
		opt           Option
		host, context string
	}{
		{"variables of `docker --context`", map[string]string{"DOCKER_CONTEXT": "there"}, nil, "",
			"there"},
		{"variables of `docker --host`", map[string]string{"DOCKER_HOST": "tcp://h:1"}, nil,
			"tcp://h:1", ""},
		{"a flag for the context", map[string]string{"DOCKER_HOST": "tcp://h:1"},
			WithDockerContext("flag"), "", "flag"},
		{"a flag for the host", map[string]string{"DOCKER_CONTEXT": "there"},
			WithDockerHost("tcp://flag:1"), "tcp://flag:1", ""},
	} {
		env := map[string]string{"HOME": home, EnvConfig: config}
		for k, v := range c.env {
			env[k] = v
		}
		opts := []Option{OptionsFromEnv(func(name string) (string, bool) {
			v, ok := env[name]
			return v, ok
		})}
		if c.opt != nil {
			opts = append(opts, c.opt)
		}
		o, err := New(opts...)
		if err != nil {
			t.Fatal(err)
		}
		b, err := o.settings.buildxFolder().Builder("far")
		if err != nil {
			t.Fatal(err)
		}
		dial, err := o.settings.throughPlugin(b, "")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // to the script's end
		conn.Close()
		o.checkBuildx(t.Context())
		said, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		calls := strings.Split(string(said), "call=")[1:]
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
