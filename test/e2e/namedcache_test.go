package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestCacheFromAndTo: entries as buildx takes them, beside Pinion's own cache and without it;
// buildx itself reads what was saved.
func TestCacheFromAndTo(t *testing.T) {
	partstest.OnSomeDays(t)
	registry := partstest.Registry(t, parts.RegistryOptions{})
	for name, entry := range map[string]func(dir, prefix string) (to, from string){
		"local": func(dir, _ string) (string, string) {
			return "type=local,dest=" + dir + ",mode=max", "type=local,src=" + dir
		},
		"registry": func(_, prefix string) (string, string) {
			ref := registry.Host() + "/" + prefix + "cache:mine"
			return "type=registry,ref=" + ref + ",mode=max", ref
		},
	} {
		for _, own := range []string{"off", "local"} {
			t.Run(name+" beside "+own, func(t *testing.T) {
				s := newScene(t, containerdOwn)
				installBuildxPlugin(t, s.user)
				tmpl := newCacheTemplate(t, s)
				tmpl.push(t, "one")
				to, from := entry(filepath.Join(t.TempDir(), "cache"), s.prefix)
				u := s.with("PINION_CACHE", own)
				u.on(emptyBuilder(t)).succeed(t, "ensure", runtime, "--cache-to", to)
				tmpl.wantRuns(t, 1)

				sha := tmpl.push(t, "two")
				fresh := u.with("MOLECULE_LOCAL_BUILD_CACHE", filepath.Join(t.TempDir(), "fresh"))
				r := fresh.on(emptyBuilder(t)).succeed(t, "ensure", runtime, "--cache-from", from,
					"--cache-to", to, "--format", "json")
				img := parseImage(t, r)
				fresh.noWarnings(t, img)
				s.wantImage(t, img)
				tmpl.wantRuns(t, 1)
				if img.Outcome != pinion.OutcomeBuilt || img.Revision.String() != sha ||
					strings.Contains(r.stderr, "not saved") {
					t.Errorf("got %+v\n%s", img, r.stderr)
				}

				third := emptyBuilder(t)
				line := "docker buildx create --name beside --driver remote " + third.Addr() +
					"\n" +
					"docker buildx build --builder beside --cache-from " + from + " " + tmpl.url() +
					".git#" + sha
				if r := s.shell(t, line); r.code != 0 {
					t.Errorf("exit code %d\n%s", r.code, r.stderr)
				}
				tmpl.wantRuns(t, 1)
			})
		}
	}
}

// TestCacheFromMissing: a missing cache is a warning, and so is a failed save.
func TestCacheFromMissing(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo nothing there")
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	r := s.succeed(t, "ensure", runtime, "--cache-from", "type=local,src="+nowhere, "--cache-from",
		"127.0.0.1:1/x:y", "--cache-to", "type=registry,ref=127.0.0.1:1/x:y", "--format", "json")
	img := parseImage(t, r)
	if len(img.Warnings) != 1 || !strings.Contains(img.Warnings[0], nowhere) ||
		!strings.Contains(r.stderr, "was not saved") {
		t.Errorf("warnings %q\n%s", img.Warnings, r.stderr)
	}
	s.wantImage(t, img)
	for _, entry := range []string{
		"type=gha", "type=local", "type=registry,dest=x", "type=registry,ref=UPPER case", "ref=x",
		"type=local,dest=x,mode=most", "type=local,dest=x,dest=y",
		"type=local,dest=", "type=local,dest=x,frobnicate=1", `"`, "type=local,dest",
	} {
		s.fail(t, exitUsage, []string{"cache"}, "ensure", runtime, "--cache-to", entry)
	}
	s.fail(t, exitUsage, []string{"src, tag, digest"}, "ensure", runtime, "--cache-from",
		"type=local,dest=x")
	s.fail(t, exitUsage, []string{"--cache-to"}, "ensure", runtime, "autogen", "--cache-to",
		"type=local,dest=x")
	s.with("MOLECULE_IMAGE_REGISTRY", "registry.example/x").fail(t, exitUsage, []string{"cache"},
		"ensure", runtime, "--cache-from", "x")
}
