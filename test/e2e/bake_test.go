package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// installBuildxPlugin gives a user buildx, as a plugin of Docker's client, beside what is there.
func installBuildxPlugin(t *testing.T, u user) {
	t.Helper()
	partstest.Need(t, parts.NameBuildx)
	path, err := parts.Locate("buildx")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(u.env["HOME"], ".docker", "cli-plugins")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "docker-buildx")); err != nil {
		t.Fatal(err)
	}
}

// shell runs a line of a shell in which pinion and docker are there.
func (u user) shell(t *testing.T, line string) result {
	t.Helper()
	partstest.Need(t, parts.NameDocker)
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	return u.with("PATH", filepath.Dir(pinionBinary(t))+":"+u.env["PATH"]).startProgram(t, sh,
		"-ec", line).result(t)
}

// layers are the diff IDs of an image.
func (s *scene) layers(t *testing.T, ref string) []string {
	t.Helper()
	got, err := s.docker.ImageInspect(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return got.RootFS.Layers
}

// TestBakeRoundTrip: bake and Pinion make the same image, in either order. Plain buildx makes the
// same layers of the commit, from the cache.
func TestBakeRoundTrip(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn, containerdStandalone, classicStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			installBuildxPlugin(t, s.user)
			tmpl := s.template(t, runtime, parts.RepoOptions{})
			ref := tmpl.reference(tmpl.busybox(t, "RUN echo baked > /word; date +%s%N > /now",
				"CMD cat /word"))
			builder := ""
			if c.standalone {
				create := "docker buildx create --name beside --driver remote "
				if r := s.shell(t, create+s.env["BUILDKIT_HOST"]); r.code != 0 {
					t.Fatal(r.stderr)
				}
				builder = " --builder beside --load"
			}
			bake := "pinion bake hermes | docker buildx bake -f - --progress plain" + builder
			if r := s.shell(t, bake); r.code != 0 {
				t.Fatalf("exit code %d\n%s", r.code, r.stderr)
			}
			baked := s.id(t, ref)
			if baked == "" || baked != s.id(t, "molecule-local/workspace-template-hermes:latest") {
				t.Fatalf("bake made %q of %q", baked, s.tags(t, runtime))
			}
			adopted := s.ensure(t, pinion.OutcomeBuilt)
			if adopted.ID != baked || adopted.Reason != "adopted" {
				t.Errorf("baked was %s, built %s, because %q", baked, adopted.ID, adopted.Reason)
			}
			s.wantImage(t, adopted)
			s.ensure(t, pinion.OutcomeHit)
			if out := s.runContainer(t, ref); out != "baked\n" {
				t.Errorf("the container prints %q", out)
			}

			// The other way round.
			sha := tmpl.busybox(t, "RUN echo built > /word; date +%s%N > /now")
			built := s.ensure(t, pinion.OutcomeBuilt)
			r := s.shell(t, bake)
			if id := s.id(t, built.Reference); r.code != 0 || id != built.ID ||
				!strings.Contains(r.stderr, "CACHED") {
				t.Errorf("exit code %d, baked was %s, not %s\n%s", r.code, id, built.ID, r.stderr)
			}
			s.ensure(t, pinion.OutcomeHit)
			r = s.shell(t,
				"docker buildx build --progress plain"+builder+" --provenance=false -t plain:"+
					s.prefix+" "+tmpl.url()+".git#"+sha)
			if r.code != 0 ||
				!slices.Equal(s.layers(t, "plain:"+s.prefix), s.layers(t, built.Reference)) {
				t.Errorf("exit code %d, the layers are other ones\n%s", r.code, r.stderr)
			}
		})
}

// TestBakeFile: all that a template can have, private repositories, and what bake itself reads out
// of it.
func TestBakeFile(t *testing.T) {
	s := newScene(t, containerdOwn)
	installBuildxPlugin(t, s.user)
	tmpl := s.template(t, "own", parts.RepoOptions{})
	sha := tmpl.push(t, parts.Text("sub/a${b}/Custom", "FROM scratch AS wanted\nCOPY word /\n"),
		parts.Text("sub/a${b}/word", "x"))
	config := "templates:\n- name: own.thing\n  repo: " + tmpl.url() +
		"\n  subdir: sub\n  dockerfile: a${b}/Custom\n  target: wanted\n  platform: linux/386\n"
	u := s.with("PINION_CONFIG", write(t, filepath.Join(s.env["HOME"], "config.yaml"),
		config, 0o600))
	secret := s.template(t, "autogen", parts.RepoOptions{Private: true})
	secret.busybox(t)
	s.template(t, "hermes", parts.RepoOptions{}).busybox(t)

	var file struct {
		Group  map[string]pinion.BakeGroup
		Target map[string]map[string]any
	}
	u.succeed(t, "bake", "own.thing")
	if n := len(s.engine.Requests()); n != 0 {
		t.Errorf("the engine was asked %d times", n)
	}
	r := u.shell(t, "pinion bake own.thing hermes | docker buildx bake -f - --print")
	if err := json.Unmarshal([]byte(r.stdout), &file); err != nil {
		t.Fatalf("%v in %q\n%s", err, r.stdout, r.stderr)
	}
	if got := file.Group["default"].Targets; !slices.Equal(got, []string{"hermes", "own__thing"}) {
		t.Errorf("the targets are %q", got)
	}
	got := file.Target["own__thing"]
	want := map[string]any{
		"context": tmpl.url() + ".git#" + sha + ":sub", "dockerfile": "a${b}/Custom",
		"target": "wanted", "platforms": []any{"linux/386"},
	}
	form := regexp.MustCompile(`^molecule-local/workspace-template-own\.thing:` + sha[:12] +
		`\.f[0-9a-f]{12}-linux-386$`)
	if tags, _ := got["tags"].([]any); len(tags) != 2 || !form.MatchString(fmt.Sprint(tags[0])) {
		t.Errorf("the tags are %q", tags)
	}
	for key, value := range want {
		if g, w := encode(t, got[key]), encode(t, value); g != w {
			t.Errorf("%s is %s, not %s", key, g, w)
		}
	}
	if keys := slices.Sorted(maps.Keys(got)); slices.Contains(keys, "args") ||
		slices.Contains(keys, "secret") {
		t.Errorf("the keys are %q", keys)
	}

	member := u.with("MOLECULE_GITEA_TOKEN", s.token(t))
	if r := member.fail(t, exitUsage, []string{"private", "every RUN", "pinion ensure autogen"},
		"bake", "hermes", "autogen"); strings.Contains(r.stderr,
		member.env["MOLECULE_GITEA_TOKEN"]) {
		t.Error("the token is shown")
	}
	member.succeed(t, "bake", "hermes") // public, with and without a credential
	for _, request := range s.git.Requests() {
		if request.Authorization != "" && strings.Contains(request.Path, "hermes") {
			t.Error("the credential went along for a public repository")
		}
	}
	u.fail(t, exitNotFound, []string{"autogen"}, "bake", "autogen")
	u.fail(t, exitNotFound, []string{"unknown-thing"}, "bake", "unknown-thing")
	u.with("MOLECULE_IMAGE_REGISTRY", "registry.example/x").fail(t, exitUsage,
		[]string{"MOLECULE_IMAGE_REGISTRY"}, "bake", "hermes")
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
