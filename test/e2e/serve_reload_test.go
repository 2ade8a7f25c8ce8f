package e2e_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestServeReloads: SIGHUP takes a new config file, keeps the one before if an entry is wrong, and
// disturbs no build.
func TestServeReloads(t *testing.T) {
	s := newScene(t, containerdOwn)
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, "", 0o600)
	s.user = s.with("PINION_CONFIG", config)
	gate := newBuildGate(t)
	s.prepare(t, gate.add())
	extra := s.template(t, "extra", parts.RepoOptions{})
	sha := extra.busybox(t, "RUN echo extra")
	p, srv := s.serve(t, "--watch", "--watch-interval", "1s")
	hangup := func(says string) {
		t.Helper()
		before := strings.Count(p.stderr.String(), says)
		if err := p.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, says, func() bool {
			return strings.Count(p.stderr.String(), says) > before
		})
	}
	waiting := make(chan reply, 1)
	go func() { waiting <- srv.ensure(t.Context()) }()
	receive(t, "the build", gate.arrived)

	path := "/v1/images/extra?wait=true"
	if r := srv.ask(t.Context(), "POST", path, ""); r.status != http.StatusNotFound {
		t.Errorf("status %d before the reload: %s", r.status, r.text)
	}
	entry := "  - {name: extra, repo: " + extra.url() + "}\n"
	write(t, config, "templates:\n"+entry+"  - {name: wrong, repo: x, brnach: y}\n", 0o600)
	hangup("config.yaml, line 3: templates, entry 2 (\"wrong\")")
	if r := srv.ask(t.Context(), "POST", path, ""); r.status != http.StatusNotFound {
		t.Errorf("status %d after a wrong file: %s", r.status, r.text)
	}
	write(t, config, "templates:\n"+entry, 0o600)
	hangup("the config file was read again")
	img := want[pinion.Image](t, srv.ask(t.Context(), "POST", path, ""), http.StatusOK)
	if img.Revision.String() != sha {
		t.Errorf("%+v", img)
	}
	gate.open()
	s.wantImage(t, want[pinion.Image](t, receive(t, "the image", waiting), http.StatusOK))
	srv.waitFor(t, extra.busybox(t, "RUN echo the watcher follows"), pinion.BuildDone)
}

// TestWatchOfARegistry: in registry mode the server follows the tag by HEAD requests, with the
// credentials of the Docker config, and pulls what the tag has come to name.
func TestWatchOfARegistry(t *testing.T) {
	d := newDepot(t)
	s := newScene(t, containerdOwn)
	path := s.prefix + "images"
	repository := path + "/workspace-template-" + runtime
	d.push(t, repository, "latest", storetest.Spec{Content: "first"})
	u := d.withLogin(t, s.with("MOLECULE_IMAGE_REGISTRY", d.host+"/"+path), depotPassword)
	p, srv := u.serve(t, "--watch", "--watch-interval", "1s", "--warm", runtime)
	pulled := func(a storetest.Archive) {
		t.Helper()
		eventually(t, "the image "+a.ManifestDigest.String(), func() bool {
			for _, b := range srv.builds(t) {
				if b.Image != nil && b.Image.ID == a.ManifestDigest.String() && b.Prewarmed {
					return true
				}
			}
			return false
		})
	}
	pulled(storetest.Build(storetest.Spec{Content: "first"}))
	pulled(d.push(t, repository, "latest", storetest.Spec{Content: "second"}))
	n := len(srv.builds(t))
	d.Reset()
	eventually(t, "three looks", func() bool { return d.Count("/manifests/latest") >= 3 })
	for _, r := range d.Requests() {
		if strings.Contains(r.Path, "/manifests/") && r.Method != http.MethodHead {
			t.Errorf("a look is a %s of %s", r.Method, r.Path)
		}
	}
	if got := len(srv.builds(t)); got != n {
		t.Errorf("%d pulls of a tag that did not move", got-n)
	}
	if strings.Contains(p.stderr.String(), depotPassword) {
		t.Error("the log has the password")
	}

	d.SetHook(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		return true
	})
	eventually(t, "a warning", func() bool {
		return strings.Contains(p.stderr.String(), "watch: "+runtime+": registry")
	})
	d.SetHook(nil)
	pulled(d.push(t, repository, "latest", storetest.Spec{Content: "third"}))
}
