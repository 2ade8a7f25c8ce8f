package e2e_test

import (
	"net/http"
	"slices"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// baseFrom pushes a base image to a registry and a template that begins with it.
func (s *scene) baseFrom(t *testing.T, d *depot) (sha string) {
	t.Helper()
	s.user = d.withLogin(t, s.user, depotPassword)
	d.push(t, s.prefix+"base", "1", storetest.Spec{Content: "the base of " + s.prefix})
	return s.template(t, runtime, parts.RepoOptions{}).push(t, parts.Text("word", t.Name()),
		parts.Text("Dockerfile", "FROM "+d.host+"/"+s.prefix+"base:1\nCOPY word /\n"))
}

// TestRegistryThatIsDown: a base image that cannot be had for now is no fault of the template, and
// the next call builds.
func TestRegistryThatIsDown(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn, containerdStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			s.baseFrom(t, d)
			for _, status := range []int{http.StatusServiceUnavailable,
				http.StatusTooManyRequests} {
				d.SetHook(parts.FailPath("/v2/", status, "not now"))
				s.fail(t, exitUnreachable, []string{d.host, "run the command again later"},
					"ensure", runtime)
			}
			wantNoTrace(t, s)
			d.SetHook(nil)
			s.ensure(t, pinion.OutcomeBuilt)

			s.template(t, "langgraph", parts.RepoOptions{}).push(t,
				parts.Text("Dockerfile", "FROM 127.0.0.1:1/base:1\nCOPY Dockerfile /\n"))
			s.fail(t, exitUnreachable, []string{"127.0.0.1:1", "run the command again later"},
				"ensure", "langgraph")
		})
}

// TestWatchOutlivesAnOutage: a caller is told to come again (502), and the watcher builds the
// commit once the registry is back, without a new one.
func TestWatchOutlivesAnOutage(t *testing.T) {
	partstest.OnSomeDays(t)
	d := newDepot(t)
	s := newScene(t, containerdOwn)
	sha := s.baseFrom(t, d)
	d.SetHook(parts.FailPath("/v2/", http.StatusServiceUnavailable, "not now"))
	_, srv := s.serve(t, "--watch", "--warm", runtime, "--watch-interval", "1s")
	if b := srv.waitFor(t, sha, pinion.BuildFailed); b.Failure.Class != pinion.ClassUnreachable {
		t.Errorf("the watcher's build: %+v", b.Failure)
	}
	got := want[map[string]any](t, srv.ensure(t.Context()), http.StatusBadGateway)
	if got["class"] != string(pinion.ClassUnreachable) {
		t.Errorf("a caller is answered %v", got)
	}
	d.SetHook(nil)
	eventually(t, "a build of the watcher", func() bool {
		return slices.ContainsFunc(srv.buildsOf(t, sha), func(b pinion.BuildStatus) bool {
			return b.State == pinion.BuildDone && b.Prewarmed
		})
	})
}
