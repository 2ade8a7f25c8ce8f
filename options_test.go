package pinion

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// environment is a lookup in a map.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestOptionsFromEnv(t *testing.T) {
	home := t.TempDir()
	o, err := New(OptionsFromEnv(environment(map[string]string{
		"HOME": home, EnvRepoPrefix: "https://git.example:8443/org/tpl-", EnvToken: "s3cret",
		EnvPlatform: "linux/arm64", EnvBuilder: "unix:///b.sock",
	})))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := o.current.Load().catalogue.Template("hermes")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"repository", tmpl.Remote.String(), "https://git.example:8443/org/tpl-hermes"},
		{"token", o.current.Load().creds.For(tmpl.Remote).Token, "s3cret"},
		{"platform", o.namedPlatform(tmpl), "linux/arm64"},
		{"builder", o.builders.Addr, "unix:///b.sock"},
		{"cache", o.settings.cachePath(),
			filepath.Join(home, ".cache/molecule/workspace-template-build")},
		{"mode", string(o.Source().Mode), "local-build"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.what, c.got, c.want)
		}
	}
}

func TestCacheFolder(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/home/u"}, "/home/u/.cache/molecule/workspace-template-build"},
		{map[string]string{"HOME": "/home/u", "XDG_CACHE_HOME": "/x"},
			"/x/molecule/workspace-template-build"},
		{map[string]string{"HOME": "/home/u", "XDG_CACHE_HOME": "relative"},
			"/home/u/.cache/molecule/workspace-template-build"},
		{map[string]string{"HOME": "/home/u", EnvCacheDir: "/own"}, "/own"},
		{map[string]string{"HOME": "/home/u", EnvCacheDir: "  "},
			"/home/u/.cache/molecule/workspace-template-build"},
	} {
		s := defaults()
		OptionsFromEnv(environment(c.env))(&s)
		if got := s.cachePath(); got != c.want {
			t.Errorf("%v gives %s, want %s", c.env, got, c.want)
		}
	}
}

func TestOptionsBehindTheEnvironmentOverrideIt(t *testing.T) {
	env := environment(map[string]string{EnvPlatform: "linux/arm64", "HOME": t.TempDir()})
	o, err := New(OptionsFromEnv(env), WithPlatform("linux/386"))
	if err != nil {
		t.Fatal(err)
	}
	if o.settings.platform != "linux/386" {
		t.Error(o.settings.platform)
	}
}

func TestATokenGoesToItsOwnHostAlone(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	body := `
templates:
  - {name: mine, repo: "https://other.example/o/mine"}
  - {name: third, repo: "https://third.example/o/third"}
credentials:
  - {host: other.example, token_env: OTHER_TOKEN}
`
	if err := os.WriteFile(config, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := New(OptionsFromEnv(environment(map[string]string{
		EnvConfig: config, EnvToken: "gitea", "OTHER_TOKEN": "other"})))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"claude-code": "gitea", "mine": "other",
		"third": ""} {
		tmpl, err := o.current.Load().catalogue.Template(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.current.Load().creds.For(tmpl.Remote).Token; got != want {
			t.Errorf("%s is asked for with %q, want %q", name, got, want)
		}
	}
	for _, secret := range []string{"gitea", "other"} {
		if got := o.Redact("x " + secret + " y"); got == "x "+secret+" y" {
			t.Errorf("%s is not redacted", secret)
		}
	}
}

func TestMalformedPrefixes(t *testing.T) {
	for _, prefix := range []string{
		"ext::sh -c id", "file:///etc/", "git://h/x-", "git@h:o/x-", "https:///x-",
		"https://u:p@h/x-", "https://h/x-?q=", "https://h/x-#f",
		"http://git.example/x-", "HTTP://git.example/x-", "https://h/x\n-", "https://h/x%0a-",
		"-https://h/x", "h/x-",
	} {
		if _, err := New(
			WithRepoPrefix(prefix), WithConfig(emptyConfig(t)),
		); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%q: error is %v", prefix, err)
		}
	}
	for _, prefix := range []string{"http://127.0.0.1:3000/o/x-", "http://localhost/x-",
		resolver.DefaultRepoPrefix} {
		if _, err := New(WithRepoPrefix(prefix), WithConfig(emptyConfig(t))); err != nil {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	if _, err := New(WithRepoPrefix("http://git.example/x-"), WithAllowHTTP(),
		WithConfig(emptyConfig(t))); err != nil {
		t.Error(err)
	}
}

func TestAConfigFileThatWasNamedMustBeThere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := New(WithConfig(missing)); !errors.Is(err, ErrInvalidInput) ||
		!errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
	home := environment(map[string]string{"HOME": t.TempDir()})
	if _, err := New(OptionsFromEnv(home)); err != nil {
		t.Errorf("the default one need not be there: %v", err)
	}
}

func TestWithoutAHomeThereIsNoCacheFolder(t *testing.T) {
	o, err := New(OptionsFromEnv(environment(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.records(); err == nil || !strings.Contains(err.Error(), EnvCacheDir) {
		t.Errorf("error is %v", err)
	}
}

func TestTokensAreTrimmed(t *testing.T) {
	o, err := New(OptionsFromEnv(environment(map[string]string{EnvToken: "gitea\n"})))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := o.current.Load().catalogue.Template("hermes")
	if err != nil || o.current.Load().creds.For(tmpl.Remote).Token != "gitea" {
		t.Errorf("token %q, %v", o.current.Load().creds.For(tmpl.Remote).Token, err)
	}
}

func TestFault54_FrontendsAreAllowedByTheOperatorAlone(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("frontends: [team/theirs]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, WithAllowedFrontends("team/ours"), WithConfig(config))
	w.ensure(t)
	want := []string{"team/ours", "docker.io/team/theirs"}
	if got := w.builder.built[0].AllowedFrontends; !slices.Equal(got, want) {
		t.Errorf("allowed are %q", got)
	}
}

// TestTimeLimits: an option counts before Pinion's variable, and that before the platform's; a
// template's own timeout counts before all.
func TestTimeLimits(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("templates:\n  - name: slow\n    repo: "+
		"https://h.example/a/b\n    timeout: 2h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	platforms := map[string]string{EnvStallSeconds: "240", EnvTimeoutSeconds: "720"}
	own := map[string]string{EnvStallAfter: "0", EnvTimeout: "20m", EnvStallSeconds: "240",
		EnvTimeoutSeconds: "720"}
	for name, c := range map[string]struct {
		env            map[string]string
		opts           []Option
		template       string
		stall, timeout time.Duration
	}{
		"default":        {stall: DefaultStallAfter},
		"the platform's": {env: platforms, stall: 4 * time.Minute, timeout: 12 * time.Minute},
		"Pinion's own":   {env: own, timeout: 20 * time.Minute},
		"options": {env: own, opts: []Option{WithStallAfter(time.Second), WithTimeout(0)},
			stall: time.Second},
		"the template's": {env: own, template: "slow", timeout: 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append([]Option{OptionsFromEnv(environment(c.env)),
				WithConfig(config)}, c.opts...)...)
			if _, err := w.Ensure(t.Context(), cmp.Or(c.template, "hermes")); err != nil {
				t.Fatal(err)
			}
			if got := w.builder.built[0]; got.StallAfter != c.stall || got.Timeout != c.timeout {
				t.Errorf("%s and %s", got.StallAfter, got.Timeout)
			}
		})
	}
}

func TestTimeLimitsThatMakeNoSense(t *testing.T) {
	for _, opt := range []Option{
		WithTimeout(-time.Second), WithStallAfter(-time.Second),
		OptionsFromEnv(environment(map[string]string{EnvTimeout: "20"})),
		OptionsFromEnv(environment(map[string]string{EnvStallSeconds: "4m"})),
	} {
		if _, err := New(opt, WithConfig(emptyConfig(t))); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("error is %v", err)
		}
	}
}
