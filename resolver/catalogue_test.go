package resolver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestNewCatalogue(t *testing.T) {
	for _, prefix := range []string{"", DefaultRepoPrefix} {
		c, err := NewCatalogue(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(c.Names(), KnownRuntimes()) {
			t.Errorf("names %v", c.Names())
		}
		got, err := c.Template("claude-code")
		want := Template{Name: "claude-code", Dockerfile: "Dockerfile",
			Image: "workspace-template-claude-code",
			Remote: mustRemote(t,
				"https://git.moleculesai.app/molecule-ai/"+
					"molecule-ai-workspace-template-claude-code"),
			Args: []arg.Rule{arg.RuntimeVersion()}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestPrefixOverride(t *testing.T) {
	for prefix, want := range map[string]string{
		"https://mirror.example/team/":         "https://mirror.example/team/codex",
		"https://mirror.example:8443/a/b/tpl-": "https://mirror.example:8443/a/b/tpl-codex",
		"http://127.0.0.1:3000/acme/t-":        "http://127.0.0.1:3000/acme/t-codex",
		"HTTPS://Mirror.Example/x/":            "https://mirror.example/x/codex",
	} {
		c, err := NewCatalogue(prefix)
		if err != nil {
			t.Errorf("%q: %v", prefix, err)
			continue
		}
		if got, err := c.Template("codex"); err != nil || got.Remote.String() != want {
			t.Errorf("%q gives %v, %v", prefix, got.Remote, err)
		}
	}
	if _, err := NewCatalogue("http://mirror.example/x/", AllowInsecureHTTP()); err != nil {
		t.Errorf("http, opted in: %v", err)
	}
}

func TestMalformedPrefixes(t *testing.T) {
	for _, prefix := range []string{
		" ", "https://", "https:///", "https://host.example", "https://host.example-",
		"http://mirror.example/x/", "ftp://h.example/x/", "FILE:///srv/",
		"git@h.example:team/", "ext::sh -c /", "//h.example/x/", "h.example/x/", "/srv/git/",
		"https://user:canary@h.example/x/", "https://h.example/x/?a=", "https://h.example/x/#",
		"https://h.example/x\n/", "https://h.example/x%0a/", "https://h.example/../",
		"https://h.example//x/", "https://h.example/x y/", "https://h.example/-x/",
		"https://h.example:/x/", "https://h.example/x:",
	} {
		c, err := NewCatalogue(prefix)
		var typed *Error
		if !errors.Is(err, ErrInvalidInput) || !errors.As(err, &typed) || c != nil {
			t.Errorf("%q is taken: %v", prefix, err)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: the error repeats the credential: %v", prefix, err)
		} else if strings.Contains(err.Error(), KnownRuntimes()[0]) {
			t.Errorf("%q: the error names a template: %v", prefix, err)
		}
	}
}

func TestUnknownTemplate(t *testing.T) {
	c, err := NewCatalogue("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "nope", "Codex", "codex ", "../codex", "codex\n", "-codex",
		strings.Repeat("x", 1000), "\x1b[2J"} {
		_, err := c.Template(name)
		if !errors.Is(err, ErrUnknownTemplate) ||
			!strings.Contains(err.Error(), "autogen, claude-code") {
			t.Errorf("%q: %v", name, err)
		} else if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%q: the text isn't harmless: %q", name, err)
		}
	}
}

func TestFault01_TemplateNames(t *testing.T) {
	for _, name := range []string{"", "-x", "x-", "--help", "x--y", "x..y", "X", "x/y", "x y", "ä",
		".x", "x.", strings.Repeat("x", 65)} {
		if err := newCatalogue(t).Add(
			Template{Name: name, Remote: mustRemote(t, "https://h.example/a/b")},
		); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, name := range []string{"x", "0", "a-b_c.d", strings.Repeat("x", 64)} {
		if err := newCatalogue(t).Add(Template{Name: name,
			Remote: mustRemote(t, "https://h.example/a/b")}); err != nil {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func newCatalogue(t *testing.T) *Catalogue {
	t.Helper()
	c, err := NewCatalogue("")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFault11_ImageNamesAreInjective(t *testing.T) {
	remote := mustRemote(t, "https://h.example/a/b")
	for name, twin := range map[string]Template{
		"a built-in's image": {Name: "mine", Remote: remote, Image: "workspace-template-codex"},
		"a built-in's name":  {Name: "codex", Remote: remote, Image: "something-else"},
		"another's image":    {Name: "mine", Remote: remote, Image: "shared"},
		"another's default":  {Name: "mine", Remote: remote, Image: "workspace-template-first"},
		"another's name":     {Name: "first", Remote: remote},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCatalogue(t)
			first := Template{Name: "first", Remote: remote}
			if name == "another's image" {
				first.Image = "shared"
			}
			if err := c.Add(first); err != nil {
				t.Fatal(err)
			}
			if err := c.Add(twin); !errors.Is(err, ErrInvalidInput) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTemplateFields(t *testing.T) {
	good := Template{Name: "x", Remote: mustRemote(t, "https://h.example/a/b"), Subdir: "./docker/",
		Dockerfile: "build//Dockerfile.dev", Target: "Final_1.x", Platform: "linux/arm/v7",
		Image: "team/x"}
	c := newCatalogue(t)
	if err := c.Add(good); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Template("x"); err != nil || got.Subdir != "docker" ||
		got.Dockerfile != "build/Dockerfile.dev" || got.Image != "team/x" {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, spoil := range map[string]func(*Template){
		"no repository":         func(t *Template) { t.Remote = git.Remote{} },
		"subdir outside":        func(t *Template) { t.Subdir = "../x" },
		"absolute subdir":       func(t *Template) { t.Subdir = "/x" },
		"Dockerfile outside":    func(t *Template) { t.Dockerfile = "../Dockerfile" },
		"Dockerfile a folder":   func(t *Template) { t.Dockerfile = "docker/" },
		"Dockerfile the root":   func(t *Template) { t.Dockerfile = "." },
		"Dockerfile an option":  func(t *Template) { t.Dockerfile = "-x" },
		"target an option":      func(t *Template) { t.Target = "-x" },
		"target with spaces":    func(t *Template) { t.Target = "a b" },
		"platform with one":     func(t *Template) { t.Platform = "linux" },
		"platform with four":    func(t *Template) { t.Platform = "linux/arm/v7/x" },
		"platform, empty part":  func(t *Template) { t.Platform = "linux/" },
		"platform, upper case":  func(t *Template) { t.Platform = "Linux/amd64" },
		"platform, list":        func(t *Template) { t.Platform = "linux/amd64,linux/arm64" },
		"timeout below 0":       func(t *Template) { t.Timeout = -time.Second },
		"image with a tag":      func(t *Template) { t.Image = "x:latest" },
		"image with a digest":   func(t *Template) { t.Image = "x@sha256:ab" },
		"image with upper case": func(t *Template) { t.Image = "X" },
		"image with a hole":     func(t *Template) { t.Image = "a//b" },
		"image, leading dash":   func(t *Template) { t.Image = "-x" },
	} {
		bad := good
		bad.Name = "y"
		bad.Image = "team/y"
		spoil(&bad)
		if err := c.Add(bad); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, platform := range []string{"", "native", "linux/amd64", "linux/arm64/v8",
		"windows/amd64"} {
		if err := checkPlatform(platform); err != nil {
			t.Errorf("platform %q: %v", platform, err)
		}
	}
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodConfig = `# a catalogue of one's own
templates:
  - name: mine
    repo: https://git.example.com/team/mine.git
    branch: release/1
    subdir: docker
    dockerfile: Dockerfile.dev
    target: final
    platform: linux/arm64
    image: team/mine
    timeout: 20m
    allow_base_platform: true
  - name: plain
    repo: http://build.example.com/team/plain
    allow_insecure_http: true
frontends:
  - docker/dockerfile-upstream
  - registry.example.com:5000/team/frontend
credentials:
  - host: git.example.com
    token_env: EXAMPLE_TOKEN
  - host: "Build.Example.com:3000"
    token_env: _BUILD2
`

func TestAddFile(t *testing.T) {
	c := newCatalogue(t)
	if err := c.AddFile(writeConfig(t, goodConfig)); err != nil {
		t.Fatal(err)
	}
	want := Template{Name: "mine", Remote: mustRemote(t, "https://git.example.com/team/mine"),
		Ref:    mustBranch(t, "release/1"),
		Subdir: "docker", Dockerfile: "Dockerfile.dev", Target: "final", Platform: "linux/arm64",
		Image: "team/mine", Timeout: 20 * time.Minute, AllowBasePlatform: true}
	if got, err := c.Template("mine"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := c.Template("plain"); err != nil || got.Remote.Scheme() != "http" ||
		!got.Ref.IsHEAD() || got.Image != "workspace-template-plain" {
		t.Errorf("got %+v, %v", got, err)
	}
	envs := c.TokenEnvs()
	if len(envs) != 2 || envs["git.example.com"] != "EXAMPLE_TOKEN" ||
		envs["build.example.com:3000"] != "_BUILD2" {
		t.Errorf("got %v", envs)
	}
	envs["x"] = "y"
	if len(c.TokenEnvs()) != 2 {
		t.Error("the caller can change the catalogue")
	}
	if got := c.Frontends(); !slices.Equal(got,
		[]string{"docker.io/docker/dockerfile-upstream",
			"registry.example.com:5000/team/frontend"}) {
		t.Errorf("frontends are %q", got)
	}
	if len(c.Names()) != 11 || !slices.IsSorted(c.Names()) {
		t.Errorf("names %v", c.Names())
	}
}

func TestAddFileRefuses(t *testing.T) {
	one := func(fields string) string { return "templates:\n  - name: mine\n    " + fields + "\n" }
	repo := "repo: https://h.example/a/b"
	for name, tc := range map[string]struct{ text, says string }{
		"unknown key":     {one(repo + "\n    brnach: x"), "line 4"},
		"unknown section": {"templtaes: []\n", "line 1"},
		"a key twice":     {one(repo + "\n    " + repo), "line 4"},
		"wrong type":      {one("repo: [a]"), "line 3"},
		"not YAML":        {"templates: [\n", "invalid input"},
		"a scalar":        {"hello\n", "invalid input"},
		"two documents": {"templates: []\n---\ntemplates: []\n",
			"more than one document"},
		"LFS hosts alone": {one(repo + "\n    lfs_hosts: [a.example]"), "lfs_hosts has no effect"},
		"LFS host with a path": {one(repo + "\n    lfs: true\n    lfs_hosts: [a.example/x]"),
			"lfs_hosts"},
		"LFS host with a user": {one(repo + "\n    lfs: true\n    lfs_hosts: ['u@a.example']"),
			"lfs_hosts"},
		"no name":              {"templates:\n  - " + repo + "\n", "entry 1"},
		"no repo":              {one("branch: x"), "entry 1"},
		"http":                 {one("repo: http://h.example/a/b"), "allow_insecure_http"},
		"bad branch":           {one(repo + "\n    branch: -x"), "branch"},
		"bad subdir":           {one(repo + "\n    subdir: ../x"), "subdirectory"},
		"bad platform":         {one(repo + "\n    platform: arm64"), "platform"},
		"bad image":            {one(repo + "\n    image: a:b"), "image"},
		"a timeout of words":   {one(repo + "\n    timeout: long"), "line 4"},
		"a timeout of no unit": {one(repo + "\n    timeout: 15"), "for example 20m"},
		"a timeout below 0":    {one(repo + "\n    timeout: -1m"), "timeout"},
		"a name twice": {one(repo) + "  - name: mine\n    " + repo + "\n    image: x\n",
			"line 4: templates, entry 2 (\"mine\"): invalid input: the catalogue has"},
		"two pins":           {one(repo + "\n    branch: x\n    tag: v1"), "line 5"},
		"a short revision":   {one(repo + "\n    revision: abcdef123456"), "line 4"},
		"bad tag":            {one(repo + "\n    tag: refs/heads/x"), "refs/tags/"},
		"null for no rule":   {one(repo + "\n    args:\n      A:"), "line 5"},
		"an alias of itself": {"templates:\n  - &a\n    name: mine\n    <<: *a\n", "alias"},
		"an explosion of merges": {"templates:\n  - &a {name: a, repo: x}\n" +
			"  - &b {<<: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]}\n" +
			"  - &c {<<: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]}\n" +
			"  - &d {<<: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]}\n" +
			"  - &e {<<: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]}\n", "invalid"},
		"an unknown key, merged": {"templates:\n  - {<<: [{nayme: x}], name: mine, " + repo + "}\n",
			"nayme"},
		"a section twice":    {"templates:\ntemplates:\n", "line 2"},
		"a section of words": {"templates: mine\n", "line 1"},
		"an entry of words":  {"templates: [mine]\n", "line 1"},
		"the second of two": {goodConfig + "  - host: git.example.com\n    token_env: X\n",
			"entry 3"},
		"a URL for a host": {"credentials:\n  - host: https://h.example\n    token_env: X\n",
			"host"},
		"a path for a host": {"credentials:\n  - host: h.example/a\n    token_env: X\n",
			"host"},
		"no host": {"credentials:\n  - token_env: X\n", "host"},
		"a token for its name": {"credentials:\n  - host: h.example\n    token_env: can-ary\n",
			"never the token itself"},
		"no variable":      {"credentials:\n  - host: h.example\n", "token_env"},
		"a frontend's tag": {"frontends: ['a/b', 'a/b:1']\n", "frontends, entry 2"},
		"a frontend's digest": {"frontends: ['a/b@sha256:" + strings.Repeat("ab", 32) + "']\n",
			"without tag and digest"},
		"a frontend with a space": {"frontends: ['a b']\n", "frontends, entry 1"},
		"a frontend twice":        {"frontends: ['a/b', 'docker.io/a/b']\n", "there already"},
		"no frontend":             {"frontends: ['']\n", "frontends, entry 1"},
		"too large":               {"#" + strings.Repeat("x", maxConfig), "8 MiB"},
		"an explosion of aliases": {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b " +
			"[*a,*a,*a,*a,*a,*a,*a,*a,*a]\ntemplates: *b\n", "line"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCatalogue(t)
			err := c.AddFile(writeConfig(t, tc.text))
			var typed *Error
			if !errors.Is(err, ErrInvalidInput) || !errors.As(err, &typed) ||
				!strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "can-ary") {
				t.Errorf("the error repeats what may be a token: %v", err)
			}
			if len(c.Names()) != len(KnownRuntimes()) ||
				len(c.TokenEnvs())+len(c.Frontends()) != 0 {
				t.Errorf("a part of the file was taken: %v, %v", c.Names(), c.TokenEnvs())
			}
		})
	}
}

func TestAddFileEmptyAndMissing(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "templates:\n",
		"templates: []\ncredentials: []\n"} {
		if err := newCatalogue(t).AddFile(writeConfig(t, text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := newCatalogue(t).AddFile(
		filepath.Join(t.TempDir(), "none.yaml"),
	); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestArgsOfAFile(t *testing.T) {
	c := newCatalogue(t)
	if err := c.AddFile(writeConfig(t, `
templates:
  - name: mine
    repo: https://git.example.com/team/mine
    args:
      ZULU: 1.20
      ALPHA: {file: conf/.alpha, pattern: "[a-z]+", missing: refuse}
      MIKE: {file: .mike, version: true}
`)); err != nil {
		t.Fatal(err)
	}
	want := []arg.Rule{
		{Name: "ALPHA", File: "conf/.alpha", Pattern: "[a-z]+", Required: true},
		{Name: "MIKE", File: ".mike", Version: true},
		{Name: "ZULU", Value: "1.20"},
	}
	if got, err := c.Template("mine"); err != nil || !slices.Equal(got.Args, want) {
		t.Errorf("got %+v, %v", got.Args, err)
	}
	for text, word := range map[string]string{
		"{BUILDKIT_SYNTAX: x/y}":           "BUILDKIT_SYNTAX",
		"{A: {file: x, missing: perhaps}}": "perhaps",
		"{A: {file: x, ptatern: y}}":       "ptatern",
		"{A: {file: ../x}}":                "file",
		"{A: {file: x, pattern: '('}}":     "missing closing",
		"{A: [x]}":                         "cannot unmarshal",
		"{A: {pattern: x}}":                "pattern",
		"{A: \"x\\ny\"}":                   "printed",
	} {
		err := newCatalogue(t).AddFile(writeConfig(t, "templates:\n  - name: mine\n"+
			"    repo: https://git.example.com/team/mine\n    args: "+text+"\n"))
		if !errors.Is(err, ErrInvalidInput) || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

const pinned = "1111111111111111111111111111111111111111"

func TestAdjustingABuiltIn(t *testing.T) {
	c := newCatalogue(t)
	if err := c.AddFile(writeConfig(t, `
templates:
  - name: codex
    branch: next
    subdir: images
    target: slim
    platform: native
    timeout: 5m
    args: {FLAVOUR: plain}
  - name: hermes
    repo: https://git.example.com/me/hermes
    image: my-hermes
    args: {RUNTIME_VERSION: "1.2"}
  - name: claude-code
    args: {RUNTIME_VERSION: null}
    revision: `+pinned+`
  - name: langgraph
    tag: v1
`)); err != nil {
		t.Fatal(err)
	}
	version := arg.RuntimeVersion()
	prefix := DefaultRepoPrefix
	for _, want := range []Template{
		{Name: "codex", Remote: mustRemote(t, prefix+"codex"), Ref: mustBranch(t, "next"),
			Subdir: "images", Target: "slim", Platform: "native", Timeout: 5 * time.Minute,
			Args: []arg.Rule{{Name: "FLAVOUR", Value: "plain"}, version}},
		{Name: "hermes", Remote: mustRemote(t, "https://git.example.com/me/hermes"),
			Image: "my-hermes", Args: []arg.Rule{{Name: "RUNTIME_VERSION", Value: "1.2"}}},
		{Name: "claude-code", Remote: mustRemote(t, prefix+"claude-code"),
			Revision: mustRevision(t, pinned)},
		{Name: "langgraph", Remote: mustRemote(t, prefix+"langgraph"), Ref: mustTag(t, "v1"),
			Args: []arg.Rule{version}},
	} {
		want.Dockerfile = DefaultDockerfile
		if want.Image == "" {
			want.Image = "workspace-template-" + want.Name
		}
		if got, err := c.Template(want.Name); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	// The image name that hermes no longer has is free.
	if err := c.Add(Template{Name: "x", Remote: mustRemote(t, "https://h.example/x"),
		Image: "workspace-template-hermes"}); err != nil {
		t.Error(err)
	}
}

func mustTag(t *testing.T, name string) git.Ref {
	t.Helper()
	ref, err := git.ParseTag(name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestOneWrongEntryIsRefusedAlone(t *testing.T) {
	c := newCatalogue(t)
	path := writeConfig(t, `
templates:
  - name: good
    repo: https://git.example.com/me/good
  - name: codex
    brnach: work
  - name: late
    repo: https://git.example.com/me/late
    args:
      A: {file: ../x}
  - name: Bad Name
    repo: https://git.example.com/me/bad
  - name: hermes
    image: workspace-template-good
credentials:
  - host: git.example.com
    token_env: can-ary
frontends: [a/b, 'c:1']
surprise: {}
`)
	if err := c.AddEntries(path); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Template("good"); err != nil {
		t.Error(err)
	}
	for name, line := range map[string]string{"codex": "line 6", "late": "line 10",
		"hermes": "line 14"} {
		_, err := c.Template(name)
		var p *Problem
		if !errors.Is(err, ErrInvalidInput) || errors.Is(err, ErrUnknownTemplate) ||
			!errors.As(err, &p) || p.File != path || !strings.Contains(err.Error(), line) {
			t.Errorf("%s: %v", name, err)
		}
		if slices.Contains(c.Names(), name) {
			t.Errorf("%s is listed", name)
		}
	}
	var lines []int
	for _, p := range c.Problems() {
		lines = append(lines, p.Line)
		if strings.Contains(p.Error(), "can-ary") {
			t.Errorf("the error repeats what may be a token: %v", p)
		}
	}
	if want := []int{6, 10, 11, 14, 17, 18, 19}; !slices.Equal(lines, want) {
		t.Errorf("lines are %v, want %v: %v", lines, want, c.Problems())
	}
	if len(c.TokenEnvs()) != 0 || !slices.Equal(c.Frontends(), []string{"docker.io/a/b"}) {
		t.Errorf("got %v, %v", c.TokenEnvs(), c.Frontends())
	}
}

// TestATwiceNamedTemplateIsRefused: neither entry is known to be the right one.
func TestATwiceNamedTemplateIsRefused(t *testing.T) {
	c := newCatalogue(t)
	entry := "  - {name: codex, branch: a}\n"
	if err := c.AddEntries(writeConfig(t, "templates:\n"+entry+entry+entry)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Template("codex"); !errors.Is(err, ErrInvalidInput) {
		t.Errorf("got %v", err)
	}
	if n := len(c.Problems()); n != 2 {
		t.Errorf("%d problems: %v", n, c.Problems())
	}
}

func TestMergedKeysOfAnEntry(t *testing.T) {
	c := newCatalogue(t)
	if err := c.AddFile(writeConfig(t, `
templates:
  - &base
    name: one
    repo: https://git.example.com/me/one
    platform: native
  - <<: *base
    name: two
    image: two
`)); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Template("two"); err != nil || got.Platform != "native" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestUnknownAmongMany: the error does not list thousands of names.
func TestUnknownAmongMany(t *testing.T) {
	c, err := NewCatalogue("")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		remote, err := git.ParseRemote("https://git.example.com/" + fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Add(Template{Name: fmt.Sprint("t", i), Remote: remote}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.Template("unknown")
	if text := err.Error(); !strings.Contains(text, "claude-code") || len(text) > 1000 ||
		!strings.Contains(text, fmt.Sprintf("and %d others", len(c.Names())-30)) {
		t.Errorf("error is %s", text)
	}
}
