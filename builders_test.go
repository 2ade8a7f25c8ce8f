package pinion

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
			fmt.Sprintf(`{"Name":%q,"Driver":"remote",`+
				`"Nodes":[{"Name":"n","Endpoint":"unix:///nowhere/%[1]s"}]}`, name))
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
			o, err := New(append([]Option{OptionsFromEnv(environment(env))}, c.opts...)...)
			if err != nil {
				t.Fatal(err)
			}
			store, err := o.store()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.connect(t.Context(), imagestore.NewFacts(store),
				"linux/amd64"); !errors.Is(err, ErrNoBuilder) ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
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
		w.builders.Lookup = environment(env)
		w.builders.Engine.Lookup = environment(env)
		got := checkNamed(t, w.Doctor(t.Context()), "buildx")
		if got.Status != c.status || !strings.Contains(got.Detail, c.word) {
			t.Errorf("%s: %+v", script, got)
		}
	}
}

// buildx and what it runs see none of Pinion's secrets, including those that the config file names.
func TestSecretsThatBuildxDoesNotSee(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "credentials:\n  - host: git.example\n    token_env: TEAM_GIT_TOKEN\n" +
		"servers: [{host: git.example, forge: gitea, status_token_env: TEAM_STATUS_TOKEN}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := New(WithConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{EnvToken, EnvServeToken, EnvOperatorToken, EnvHookSecret,
		EnvNotifySecret, "TEAM_GIT_TOKEN", "TEAM_STATUS_TOKEN"}
	if got := o.builders.Secrets(); !slices.Equal(got, want) {
		t.Errorf("the secrets are in %q, want %q", got, want)
	}
}
