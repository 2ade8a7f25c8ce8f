package e2e_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// pushArgs returns the arguments of a push.
func pushArgs(prefix string, more ...string) []string {
	return append([]string{"ensure", runtime, "--push", "--registry", prefix, "--format", "json"},
		more...)
}

// TestPushToFixedTags: at a registry whose tags cannot be overwritten, a second push of the same
// image is no failure, and one of another commit leaves latest where it is, with a warning.
func TestPushToFixedTags(t *testing.T) {
	partstest.OnSomeDays(t)
	d := newDepot(t)
	fixed := parts.FixedTags()
	cells := []cell{containerdOwn, classicOwn, oldOwn, containerdStandalone}
	onCellsAndInAFolder(t, cells, func(t *testing.T, s *scene, _ bool) {
		tmpl, _ := s.prepare(t, "RUN echo first")
		u := d.withLogin(t, s.user, depotPassword)
		prefix := d.host + "/" + s.prefix + "x"
		repository := s.prefix + "x/workspace-template-hermes"
		one := parseImage(t, u.succeed(t, pushArgs(prefix)...))
		for _, registry := range fixed[:2] {
			d.SetHook(parts.KeepTags(d.registry.URL(), registry.Refusal))
			again := parseImage(t, u.succeed(t, pushArgs(prefix)...))
			if !slices.Equal(again.Pushed, one.Pushed) || len(again.Warnings) != 0 {
				t.Errorf("%s: the same image again: %+v, %q", registry.Registry, again.Pushed,
					again.Warnings)
			}
		}
		latest, _ := d.manifest(t, repository, "latest")
		for _, registry := range fixed {
			d.SetHook(parts.KeepTags(d.registry.URL(), registry.Refusal))
			sha := tmpl.busybox(t, "RUN echo after "+registry.Registry)
			for range 2 { // the second finds the pinned name there
				got := parseImage(t, u.succeed(t, pushArgs(prefix)...))
				pinned := prefix + "/workspace-template-hermes:" + sha[:12]
				if len(got.Pushed) != 1 || got.Pushed[0].Reference != pinned ||
					len(got.Warnings) != 1 ||
					!strings.Contains(got.Warnings[0], ":latest was left where it is") {
					t.Fatalf("%s: pushed %+v, warnings %q", registry.Registry, got.Pushed,
						got.Warnings)
				}
				shown, _ := d.manifest(t, repository, sha[:12])
				if shown != got.Pushed[0].Digest {
					t.Errorf("%s: the registry has %s", registry.Registry, shown)
				}
			}
			if now, _ := d.manifest(t, repository, "latest"); now != latest {
				t.Errorf("%s: latest has moved from %s to %s", registry.Registry, latest, now)
			}
		}
		d.SetHook(nil)
	})
}

// TestPushOfAnotherBuild: a commit's name that the registry keeps for another build of the same
// commit is a warning, and for something else an error.
func TestPushOfAnotherBuild(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, _ := s.prepare(t, "RUN date +%s%N > /once")
		u := d.withLogin(t, s.user, depotPassword)
		prefix := d.host + "/" + s.prefix + "x"
		one := parseImage(t, u.succeed(t, pushArgs(prefix)...))
		d.SetHook(parts.KeepTags(d.registry.URL(), parts.FixedTags()[0].Refusal))
		defer d.SetHook(nil)
		two := parseImage(t, u.succeed(t, pushArgs(prefix, "--no-cache")...))
		if two.ID == one.ID || len(two.Pushed) != 0 || len(two.Warnings) != 1 ||
			!strings.Contains(two.Warnings[0], one.Pushed[0].Digest) {
			t.Errorf("another build: pushed %+v, warnings %q", two.Pushed, two.Warnings)
		}
		// What has the next commit's name is of the commit before.
		sha := tmpl.busybox(t, "RUN echo next")
		d.SetHook(nil)
		d.retag(t, s.prefix+"x/workspace-template-hermes", one.Pushed[0].Digest, sha[:12])
		d.SetHook(parts.KeepTags(d.registry.URL(), parts.FixedTags()[0].Refusal))
		u.fail(t, exitUnreachable, []string{sha[:12], one.Pushed[0].Digest, "overwritten"},
			pushArgs(prefix)...)
	})
}

// TestPushFailsAtLatest: the error says which name was pushed before.
func TestPushFailsAtLatest(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		_, sha := s.prepare(t, "RUN echo down")
		u := d.withLogin(t, s.user, depotPassword)
		prefix := d.host + "/" + s.prefix + "x"
		d.SetHook(parts.FailPath("/manifests/latest", http.StatusServiceUnavailable,
			"<html><body>down for maintenance</body></html>"))
		defer d.SetHook(nil)
		r := u.run(t, pushArgs(prefix)...)
		var failed struct {
			Error  string          `json:"error"`
			Code   int             `json:"exit_code"`
			Pushed []pinion.Pushed `json:"pushed"`
		}
		lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &failed); err != nil {
			t.Fatalf("%v: %s", err, r.stderr)
		}
		pinned := prefix + "/workspace-template-hermes:" + sha[:12]
		digest, _ := d.manifest(t, s.prefix+"x/workspace-template-hermes", sha[:12])
		if r.code != exitUnreachable || failed.Code != exitUnreachable ||
			!slices.Equal(failed.Pushed, []pinion.Pushed{{Reference: pinned, Digest: digest}}) ||
			!strings.Contains(failed.Error, pinned+"@"+digest) ||
			strings.Contains(failed.Error, "<") {
			t.Errorf("exit code %d, %+v", r.code, failed)
		}
	})
}

// retag gives what a registry has under a digest a tag, too.
func (d *depot) retag(t *testing.T, repository, digest, tag string) {
	t.Helper()
	kind, content := d.content(t, repository, digest)
	d.send(t, http.MethodPut, "/v2/"+repository+"/manifests/"+tag, kind, content)
}
