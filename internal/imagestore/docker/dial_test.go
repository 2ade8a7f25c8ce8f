package docker_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

func TestDialFindsTheEngineAsDockerDoes(t *testing.T) {
	type env = map[string]string
	for _, c := range []struct {
		name          string
		host, context string
		env           env
		current       string // currentContext of the config
		want          string
	}{
		{name: "nothing said", want: "unix:///var/run/docker.sock"},
		{name: "--host", host: "unix:///a.sock",
			env:     env{"DOCKER_HOST": "unix:///b.sock", "DOCKER_CONTEXT": "remote"},
			current: "remote", want: "unix:///a.sock"},
		{name: "--context beats DOCKER_HOST", context: "remote",
			env: env{"DOCKER_HOST": "unix:///b.sock"}, want: "tcp://remote.example:2375"},
		{name: "DOCKER_HOST beats DOCKER_CONTEXT and the config",
			env:     env{"DOCKER_HOST": "unix:///b.sock", "DOCKER_CONTEXT": "remote"},
			current: "remote", want: "unix:///b.sock"},
		{name: "DOCKER_CONTEXT beats the config", env: env{"DOCKER_CONTEXT": "remote"},
			current: "local", want: "tcp://remote.example:2375"},
		{name: "the config's context", current: "local", want: "unix:///run/local.sock"},
		{name: "the default context is DOCKER_HOST", context: "default",
			env: env{"DOCKER_HOST": "unix:///b.sock"}, current: "remote", want: "unix:///b.sock"},
		{name: "empty DOCKER_HOST is unset", env: env{"DOCKER_HOST": ""}, current: "local",
			want: "unix:///run/local.sock"},
		{name: "paths are cleaned", host: "unix:///run//x/../docker.sock",
			want: "unix:///run/docker.sock"},
		{name: "port of tcp", host: "tcp://Engine.Example", want: "tcp://engine.example:2375"},
		{name: "no scheme is tcp", host: "engine.example:1234", want: "tcp://engine.example:1234"},
		{name: "password is not shown", host: "tcp://u:secret@engine.example:1",
			want: "tcp://engine.example:1"},
		{name: "ssh", host: "ssh://user@Engine.Example:22", want: "ssh://user@engine.example:22"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := configDir(t, `{"currentContext":"`+c.current+`"}`)
			addContext(t, dir, "remote", "tcp://remote.example:2375")
			addContext(t, dir, "local", "unix:///run/local.sock")
			engine, err := docker.Dial(docker.Config{Host: c.host, Context: c.context,
				ConfigDir: dir, Lookup: lookup(c.env)})
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			if engine.Endpoint() != c.want {
				t.Errorf("endpoint %s, want %s", engine.Endpoint(), c.want)
			}
		})
	}
}

func TestDialConfigFolder(t *testing.T) {
	home := t.TempDir()
	writeFile(t, filepath.Join(home, ".docker", "config.json"), `{"currentContext":"home"}`)
	addContext(t, filepath.Join(home, ".docker"), "home", "unix:///home.sock")
	other := configDir(t, `{"currentContext":"other"}`)
	addContext(t, other, "other", "unix:///other.sock")
	for _, c := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"HOME", map[string]string{"HOME": home, "USERPROFILE": home}, "unix:///home.sock"},
		{"DOCKER_CONFIG", map[string]string{"HOME": home, "USERPROFILE": home,
			"DOCKER_CONFIG": other}, "unix:///other.sock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			engine, err := docker.Dial(docker.Config{Lookup: lookup(c.env)})
			if err != nil {
				t.Fatal(err)
			}
			if engine.Endpoint() != c.want {
				t.Errorf("endpoint %s, want %s", engine.Endpoint(), c.want)
			}
		})
	}
}

func TestDialRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  string
		engine  docker.Config
		env     map[string]string
		mention string
		advice  errdef.Situation
	}{
		{name: "unknown --context", engine: docker.Config{Context: "nowhere"},
			mention: `"nowhere"`, advice: errdef.ContextUnknown},
		{name: "unknown DOCKER_CONTEXT", env: map[string]string{"DOCKER_CONTEXT": "nowhere"},
			mention: `"nowhere"`},
		{name: "unknown currentContext", config: `{"currentContext":"gone"}`,
			mention: `"gone"`, advice: errdef.ContextUnknown},
		{name: "host and context", engine: docker.Config{Host: "unix:///a", Context: "b"},
			mention: "both a host and a context"},
		{name: "unknown scheme", engine: docker.Config{Host: "http://u:secret@x"},
			mention: "unix://"},
		{name: "malformed tcp", engine: docker.Config{Host: "tcp://u:secret@[::1"},
			mention: "tcp"},
		{name: "malformed ssh", engine: docker.Config{Host: "ssh://u:secret@x"},
			mention: "ssh"},
		{name: "malformed config", config: `{"currentContext":`, mention: "config.json",
			advice: errdef.DockerConfigBroken},
		{name: "malformed DOCKER_AUTH_CONFIG",
			env:     map[string]string{"DOCKER_AUTH_CONFIG": `{"auths":{"secret"`},
			mention: "DOCKER_AUTH_CONFIG"},
		{name: "API version", env: map[string]string{"DOCKER_API_VERSION": "new"},
			mention: "API version"},
		{name: "TLS without ca.pem", env: map[string]string{"DOCKER_TLS_VERIFY": "1",
			"DOCKER_HOST": "tcp://x:1"}, mention: "DOCKER_CERT_PATH",
			advice: errdef.TLSFilesMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.engine
			cfg.ConfigDir, cfg.Lookup = configDir(t, c.config), lookup(c.env)
			_, err := docker.Dial(cfg)
			var typed *imagestore.Error
			if !errors.As(err, &typed) || !errors.Is(err, docker.ErrConfig) {
				t.Fatalf("error %v, want ErrConfig in an *Error", err)
			}
			if !strings.Contains(err.Error(), c.mention) ||
				strings.Contains(err.Error(), "secret") {
				t.Errorf("%q should mention %q and no secret", err, c.mention)
			}
			if s, _ := errdef.SituationOf(err); c.advice != "" && s != c.advice {
				t.Errorf("%q is in the situation %q, not %q", err, s, c.advice)
			}
		})
	}
}

func TestAPIVersionIsFixed(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.52")
	engine := dial(t, fake.Host(), map[string]string{"DOCKER_API_VERSION": "1.42"})
	info, err := engine.Info(t.Context())
	if err != nil || info.APIVersion != "1.42" {
		t.Errorf("API version %s, %v, want 1.42", info.APIVersion, err)
	}
}

// The process's own environment must not reach Docker's libraries either.
func TestEnvironmentIsNotRead(t *testing.T) {
	for name, value := range map[string]string{
		"DOCKER_HOST": "tcp://wrong.example:1", "DOCKER_CONTEXT": "wrong",
		"DOCKER_CONFIG": "/wrong", "DOCKER_TLS_VERIFY": "1",
		"DOCKER_CERT_PATH": "/wrong", "DOCKER_API_VERSION": "1.24", "DOCKER_AUTH_CONFIG": "wrong",
	} {
		t.Setenv(name, value)
	}
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.41")
	fake.Publish("registry.example/x:1", storetest.Build(storetest.Spec{Content: "x"}), "", "")
	engine := dial(t, fake.Host(), nil)
	if info, err := engine.Info(t.Context()); err != nil || info.APIVersion != "1.41" {
		t.Errorf("info = %+v, %v", info, err)
	}
	if err := engine.Pull(t.Context(), "registry.example/x:1", "", nil); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(server.Close)
	host := "tcp://" + server.Listener.Addr().String()
	certs := t.TempDir()
	writeFile(t, filepath.Join(certs, "ca.pem"),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
			Bytes: server.Certificate().Raw})))
	stranger := t.TempDir()
	writeFile(t, filepath.Join(stranger, "ca.pem"), "")
	for _, c := range []struct {
		name string
		env  map[string]string
		ok   bool
	}{
		{"verified", map[string]string{"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": certs}, true},
		{"not verified", map[string]string{"DOCKER_TLS": "1", "DOCKER_CERT_PATH": certs}, true},
		{"no TLS", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := dial(t, host, c.env).Info(t.Context())
			if (err == nil) != c.ok {
				t.Errorf("info: %v, want success %v", err, c.ok)
			}
		})
	}
	t.Run("empty ca.pem", func(t *testing.T) {
		_, err := docker.Dial(docker.Config{Host: host, ConfigDir: t.TempDir(),
			Lookup: lookup(map[string]string{"DOCKER_TLS_VERIFY": "1",
				"DOCKER_CERT_PATH": stranger})})
		if !errors.Is(err, docker.ErrConfig) {
			t.Errorf("error %v, want ErrConfig", err)
		}
	})
	t.Run("context", func(t *testing.T) {
		dir := configDir(t, "")
		id := addContext(t, dir, "secure", host)
		ca, err := os.ReadFile(filepath.Join(certs, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "contexts", "tls", id, "docker", "ca.pem"), string(ca))
		engine, err := docker.Dial(docker.Config{Context: "secure", ConfigDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Info(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestSSH(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.41")
	standIns(t)
	t.Setenv(sshSocketVar, strings.TrimPrefix(fake.Host(), "unix://"))
	if info, err := dial(t, "ssh://user@engine.example", nil).Info(t.Context()); err != nil ||
		info.APIVersion != "1.41" {
		t.Errorf("info = %+v, %v", info, err)
	}
}

func configDir(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	if config != "" {
		writeFile(t, filepath.Join(dir, "config.json"), config)
	}
	return dir
}

// addContext writes a context as `docker context create` does, and returns the
// name of its folder.
func addContext(t *testing.T, dir, name, host string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	writeFile(t, filepath.Join(dir, "contexts", "meta", id, "meta.json"),
		`{"Name":"`+name+`","Metadata":{},"Endpoints":{"docker":{"Host":"`+host+
			`","SkipTLSVerify":false}}}`)
	return id
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
