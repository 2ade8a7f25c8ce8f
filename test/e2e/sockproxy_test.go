package e2e_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// refusePaths stands for a program before an engine that lets only some requests through. A word
// that begins with a slash refuses each path that has it, or any path that ends in it if it ends in
// a dollar sign.
func refusePaths(words ...string) parts.Hook {
	refusal := parts.ForbiddenPage()
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !slices.ContainsFunc(words, func(word string) bool {
			return strings.Contains(r.URL.Path+"$", word)
		}) {
			return false
		}
		refusal.Answer(w)
		return true
	}
}

// wantRefusal checks that the command failed by a program before the engine, and names the request.
func wantRefusal(t *testing.T, r result, code int, request string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.stderr, "refuses "+request) ||
		!strings.Contains(r.stderr, "403 Forbidden") {
		t.Errorf("exit code %d, want %d and %q:\n%s", r.code, code, request, r.stderr)
	}
	_, failed, _ := strings.Cut(r.stderr, "pinion: error")
	if strings.ContainsAny(failed, "<>") || strings.Contains(failed, "docker login") ||
		!strings.Contains(failed, "allow "+request) {
		t.Errorf("the error is %s", failed)
	}
}

// TestEngineBehindAFilter: what a program before the engine refuses is named with the request that
// it has to allow, as the fault of the builder (13) or of the image store (14).
func TestEngineBehindAFilter(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo filtered "+c.String())
		for _, refused := range []struct {
			path, request string
			code          int
		}{
			{"/grpc", "POST /grpc", exitNoBuilder},
			{"/session", "POST /session", exitNoBuilder},
			{"/info", "GET /info", exitStore},
			{"/_ping", "GET /_ping", exitStore},
			{"/tag$", "POST /images/", exitStore},
		} {
			s.engine.SetHook(refusePaths(refused.path))
			wantRefusal(t, s.run(t, "ensure", runtime), refused.code, refused.request)
		}
		s.engine.SetHook(refusePaths("/grpc"))
		r := s.run(t, "doctor")
		if r.code != exitNoBuilder || !strings.Contains(r.stdout, "refuses POST /grpc") ||
			strings.Contains(r.stdout, "<") {
			t.Errorf("doctor: exit code %d\n%s\n%s", r.code, r.stdout, r.stderr)
		}
		s.engine.SetHook(nil)
		s.succeed(t, "ensure", runtime)
		s.engine.SetHook(refusePaths("/containers/create"))
		r = s.run(t, "run", runtime)
		if _, failed, _ := strings.Cut(r.stderr, "pinion: error"); strings.Contains(failed, "<") ||
			!strings.Contains(failed, "403 Forbidden") {
			t.Errorf("run: exit code %d\n%s", r.code, r.stderr)
		}
	})
}

// TestDeliveryThroughAFilter: an image that the engine may not pull is loaded, and if it may not
// load either, the error names that request.
func TestDeliveryThroughAFilter(t *testing.T) {
	onCells(t, []cell{containerdStandalone, classicStandalone, oldStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			tmpl, _ := s.prepare(t, "RUN echo filtered "+c.String())
			s.engine.SetHook(refusePaths("/images/create", "/images/load"))
			wantRefusal(t, s.run(t, "ensure", runtime), exitStore, "POST /images/load")
			s.engine.SetHook(refusePaths("/images/create"))
			tmpl.busybox(t, "RUN echo loaded "+c.String())
			img := parseImage(t, s.succeed(t, "ensure", runtime, "--format", "json"))
			if img.Outcome != pinion.OutcomeBuilt || img.Delivery.Via != "load" ||
				strings.Contains(img.Delivery.Reason, "<") {
				t.Errorf("got %+v", img.Delivery)
			}
			if c.store == parts.Docker29Containerd &&
				!strings.Contains(img.Delivery.Reason, "refuses POST /images/create") {
				t.Errorf("the reason is %q", img.Delivery.Reason)
			}
		})
}

// TestRegistryThroughAFilter: a refusal before the engine is not one of the registry.
func TestRegistryThroughAFilter(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo pushed")
		u := d.withLogin(t, s.user, depotPassword)
		prefix := d.host + "/" + s.prefix + "x"
		s.engine.SetHook(refusePaths("/push$"))
		wantRefusal(t, u.run(t, "ensure", runtime, "--push", "--registry", prefix), exitStore,
			"POST /images/"+prefix)
		s.engine.SetHook(refusePaths("/images/create"))
		wantRefusal(t, u.with("MOLECULE_IMAGE_REGISTRY", prefix).run(t, "ensure", runtime),
			exitStore, "POST /images/create")
	})
}

// TestEngineAway: a proxy that does not reach the engine is another thing than one that refuses.
func TestEngineAway(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo away")
	s.engine.SetHook(parts.FailPath("/", http.StatusServiceUnavailable,
		"<html><body><h1>503 Service Unavailable</h1></body></html>"))
	r := s.run(t, "ensure", runtime)
	_, failed, _ := strings.Cut(r.stderr, "pinion: error")
	if r.code != exitStore || !strings.Contains(failed, "503 Service Unavailable") ||
		strings.Contains(failed, "<") || !strings.Contains(failed, "start the Docker engine") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
}

// TestAPIVersionSetByHand: the error names the variable.
func TestAPIVersionSetByHand(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo version")
		for version, code := range map[string]int{"1.1": exitStore, "1.99": exitStore,
			"one": exitStore} {
			s.with("DOCKER_API_VERSION", version).fail(t, code,
				[]string{"DOCKER_API_VERSION", version, "unset DOCKER_API_VERSION"},
				"ensure", runtime)
		}
		good := map[parts.Flavour]string{parts.Docker20: "1.41"}[c.store]
		s.with("DOCKER_API_VERSION", cmp.Or(good, "1.44")).succeed(t, "ensure", runtime)
	})
}
