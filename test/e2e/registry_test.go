package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestRegistryMode pulls with the credentials of the Docker config, and asks neither a git server
// nor a builder.
func TestRegistryMode(t *testing.T) {
	d := newDepot(t)
	stores := []cell{containerdOwn, classicOwn, oldOwn}
	onCells(t, stores, func(t *testing.T, c cell) {
		s := newScene(t, c)
		// A repository of its own for each store, so that no engine has it from before.
		path := s.prefix + "images"
		image := d.push(t, path+"/workspace-template-hermes", "latest",
			storetest.Spec{Content: "first"})
		prefix := d.host + "/" + path
		u := d.withLogin(t, s.with("MOLECULE_IMAGE_REGISTRY", prefix, "BUILDKIT_HOST",
			"unix:///nowhere"), depotPassword)

		d.Reset()
		r := u.run(t, "ensure", runtime, "--format", "json")
		img := parseImage(t, r)
		if img.Outcome != pinion.OutcomePulled || img.Mode != "registry" ||
			img.Reference != prefix+"/workspace-template-hermes:latest" || !img.Revision.IsZero() {
			t.Errorf("got %+v", img)
		}
		if got := s.id(t, img.Reference); got != img.ID || got != image.ConfigDigest.String() &&
			got != image.ManifestDigest.String() {
			t.Errorf("the engine has %s, the receipt says %s", got, img.ID)
		}
		if d.Count("/v2/") == 0 {
			t.Error("the registry was not asked")
		}

		d.Reset()
		again := parseImage(t, u.run(t, "ensure", runtime, "--format", "json"))
		if again.Outcome != pinion.OutcomeHit || again.ID != img.ID || len(again.Warnings) != 0 {
			t.Errorf("again: %+v", again)
		}
		if d.Count("/manifests/latest") == 0 || d.Count("/blobs/") != 0 {
			t.Errorf("a hit asked the registry for %v", d.Requests())
		}

		d.push(t, path+"/workspace-template-hermes", "latest", storetest.Spec{Content: "second"})
		fresh := parseImage(t, u.run(t, "ensure", runtime, "--format", "json"))
		if fresh.Outcome != pinion.OutcomePulled || fresh.ID == img.ID ||
			fresh.Reference != img.Reference || s.id(t, img.Reference) != fresh.ID {
			t.Errorf("after the tag moved: %+v", fresh)
		}

		d.SetHook(func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
			return true
		})
		defer d.SetHook(nil)
		r = u.succeed(t, "ensure", runtime, "--format", "json")
		if kept := parseImage(t, r); kept.Outcome != pinion.OutcomeHit || kept.ID != fresh.ID ||
			len(kept.Warnings) != 1 {
			t.Errorf("without the registry: %+v", kept)
		}
		u.fail(t, exitUnreachable, []string{img.Reference}, "ensure", runtime, "--pull")

		if n := len(s.git.Requests()) + s.engine.Count("/grpc") +
			s.engine.Count("/session"); n != 0 {
			t.Errorf("git server and builder were asked %d times", n)
		}
		for _, text := range []string{r.stdout, r.stderr} {
			if strings.Contains(text, depotPassword) {
				t.Errorf("the password is in %q", text)
			}
		}
	})
}

func TestRegistryCredentialHelper(t *testing.T) {
	d := newDepot(t)
	s := newScene(t, containerdOwn)
	d.push(t, s.prefix+"x/workspace-template-hermes", "latest", storetest.Spec{Content: "helped"})
	u := d.withHelper(t, s.with("MOLECULE_IMAGE_REGISTRY", d.host+"/"+s.prefix+"x"))
	// The helper must be on the PATH of the process, so this is for the command alone.
	if img := parseImage(t, u.run(t, "ensure", runtime, "--format",
		"json")); img.Outcome != pinion.OutcomePulled {
		t.Errorf("got %+v", img)
	}
}

func TestRegistryErrors(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		prefix := d.host + "/" + s.prefix + "x"
		d.push(t, s.prefix+"x/workspace-template-hermes", "latest",
			storetest.Spec{Content: "guarded"})
		ref := prefix + "/workspace-template-hermes:latest"
		u := s.with("MOLECULE_IMAGE_REGISTRY", prefix)
		u.fail(t, exitUnauthorized, []string{ref, "docker login"}, "ensure", runtime)
		r := d.withLogin(t, u, "wrong-password").fail(t, exitUnauthorized,
			[]string{ref, "docker login"}, "ensure", runtime)
		if strings.Contains(r.stderr, "wrong-password") {
			t.Errorf("the password is in %q", r.stderr)
		}
		member := d.withLogin(t, u, depotPassword)
		member.fail(t, exitNotFound, []string{prefix + "/workspace-template-autogen:latest"},
			"ensure", "autogen")
		member.fail(t, exitNotFound, []string{"unknown-thing"}, "ensure", "unknown-thing")
		member.with("MOLECULE_IMAGE_REGISTRY", "127.0.0.1:1/x").fail(t, exitUnreachable,
			[]string{"127.0.0.1:1"}, "ensure", runtime)
		member.fail(t, exitUsage, []string{"MOLECULE_IMAGE_REGISTRY"}, "ensure",
			runtime, "--no-cache")
		if n := len(s.git.Requests()) + s.engine.Count("/grpc") +
			s.engine.Count("/session"); n != 0 {
			t.Errorf("git server and builder were asked %d times: never a fallback", n)
		}
	})
}

// TestRegistryOtherPlatform: an image of another platform that is there under the name is no hit.
func TestRegistryOtherPlatform(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		u := d.withLogin(t,
			s.with("MOLECULE_IMAGE_REGISTRY", d.host+"/"+s.prefix+"x"), depotPassword)
		repo := s.prefix + "x/workspace-template-hermes"
		d.push(t, repo, "latest", storetest.Spec{Content: "arm", Architecture: "arm64"})
		img := parseImage(t, u.run(t, "ensure", runtime, "--platform", "linux/arm64",
			"--format", "json"))
		if img.Outcome != pinion.OutcomePulled || img.Platform != "linux/arm64" {
			t.Errorf("got %+v", img)
		}
		if again := parseImage(t, u.run(t, "ensure", runtime, "--platform", "linux/arm64",
			"--format", "json")); again.Outcome != pinion.OutcomeHit {
			t.Errorf("got %+v", again)
		}
		d.push(t, repo, "latest", storetest.Spec{Content: "amd"})
		amd := parseImage(t, u.run(t, "ensure", runtime, "--format", "json"))
		if amd.Outcome != pinion.OutcomePulled || amd.Platform != "linux/amd64" ||
			amd.Reason == "" || amd.ID == img.ID {
			t.Errorf("got %+v", amd)
		}
	})
}

// TestRegistryReference: the reference begins with the prefix byte for byte, and the library's call
// sends no request.
func TestRegistryReference(t *testing.T) {
	s := newScene(t, containerdOwn)
	for _, prefix := range []string{"registry.example/molecule", "registry.example/molecule/",
		"REGISTRY.example:5000", "x//"} {
		u := s.with("MOLECULE_IMAGE_REGISTRY", prefix)
		want := prefix + "/workspace-template-hermes:latest"
		if got, err := u.open(t).EnsureLocalImage(t.Context(), runtime); err != nil || got != want {
			t.Errorf("prefix %q gave %q, %v", prefix, got, err)
		}
		if r := u.succeed(t, "resolve", runtime); !strings.Contains(r.stdout, want+"\n") {
			t.Errorf("prefix %q resolves to\n%s", prefix, r.stdout)
		}
	}
	if n := len(s.git.Requests()) + len(s.engine.Requests()); n != 0 {
		t.Errorf("it cost %d requests", n)
	}
	// Blank is refused, and empty means that images are built here.
	s.prepare(t, "RUN echo blank")
	s.with("MOLECULE_IMAGE_REGISTRY", " ").fail(t, exitUsage, []string{"MOLECULE_IMAGE_REGISTRY",
		"unset"}, "ensure", runtime)
	s.with("MOLECULE_IMAGE_REGISTRY", "").ensure(t, pinion.OutcomeBuilt)
}

// TestPrivateBaseImage: FROM names an image that requires the Docker config's credentials.
func TestPrivateBaseImage(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn, containerdStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			base := s.prefix + "base"
			d.push(t, base, "1", storetest.Spec{Content: "the base of " + t.Name()})
			s.template(t, runtime, parts.RepoOptions{}).push(t,
				parts.Text("Dockerfile", "FROM "+d.host+"/"+base+":1\nCOPY word /\n"),
				parts.Text("word", "x"))
			words := []string{d.host + "/" + base, "Unauthorized"}
			if c != oldOwn {
				words = []string{"Dockerfile:1", d.host + "/" + base}
			}
			s.fail(t, exitBuild, words, "ensure", runtime)
			d.Reset()
			r := d.withLogin(t, s.user, depotPassword).succeed(t, "ensure", runtime,
				"--format", "json")
			s.wantImage(t, parseImage(t, r))
			authorized := 0
			for _, asked := range d.Requests() {
				if asked.Authorization != "" {
					authorized++
				}
			}
			if authorized == 0 {
				t.Error("the registry saw no credentials")
			}
			if strings.Contains(r.stderr, depotPassword) {
				t.Errorf("the password is in %q", r.stderr)
			}
		})
}
