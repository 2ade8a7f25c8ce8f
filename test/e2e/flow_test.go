package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestMainFlow is the life of a template in each store, from each builder: built, hit, moved on,
// forced back.
func TestMainFlow(t *testing.T) {
	onEachCell(t, allCells(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, first := s.prepare(t, append(unique(), "RUN echo one > /word", "CMD cat /word")...)

		built := s.ensure(t, pinion.OutcomeBuilt)
		wantBuilt(t, tmpl, built, first)
		s.wantImage(t, built)
		if out := s.runContainer(t, built.Reference); out != "one\n" {
			t.Errorf("the container prints %q", out)
		}

		s.reset()
		// A hit needs no builder, so it works with one that is not there.
		hit := s.with("BUILDKIT_HOST", "unix:///nowhere/buildkitd.sock").ensure(t,
			pinion.OutcomeHit)
		s.wantHitTraffic(t)
		if hit.ID != built.ID || hit.Reference != built.Reference ||
			hit.Revision != built.Revision || hit.Builder != nil {
			t.Errorf("built %+v and then hit %+v", built, hit)
		}

		second := tmpl.busybox(t, append(unique(), "RUN echo two > /word", "CMD cat /word")...)
		moved := s.ensure(t, pinion.OutcomeBuilt)
		wantBuilt(t, tmpl, moved, second)
		s.wantImage(t, moved)
		if c.standalone && (moved.Delivery.Method != buildkit.MethodDelta ||
			moved.Delivery.LayersReused == 0 || moved.Delivery.LayersSent == 0) {
			t.Errorf("the engine had most layers, and the delivery was %+v", moved.Delivery)
		}
		if moved.ID == built.ID || moved.Reason != "no image for this revision" {
			t.Errorf("another commit gave %s because of %q", moved.ID, moved.Reason)
		}
		if out := s.runContainer(t, moved.ID); out != "two\n" {
			t.Errorf("the container prints %q", out)
		}
		if latest := s.id(t,
			"molecule-local/workspace-template-hermes:latest"); latest != moved.ID {
			t.Errorf("latest is %s, not %s", latest, moved.ID)
		}

		if err := s.gitea.Force(t.Context(), tmpl.repo, "main", first); err != nil {
			t.Fatal(err)
		}
		s.reset()
		back := s.ensure(t, pinion.OutcomeHit)
		if back.ID != built.ID || back.Revision.String() != first {
			t.Errorf("forced back to %s, and got %+v", first, back)
		}
		latest := "molecule-local/workspace-template-hermes:latest"
		if id := s.id(t, latest); id != moved.ID {
			t.Errorf("a hit moved latest to %s", id)
		}
		s.remove(t, latest, false)
		if s.ensure(t, pinion.OutcomeHit); s.id(t, latest) != built.ID {
			t.Errorf("latest is %q, not %s", s.id(t, latest), built.ID)
		}
		if n := s.engine.Count("/grpc") + s.engine.Count("/session"); n != 0 {
			t.Errorf("a hit contacted the builder %d times", n)
		}
	})
}

// wantBuilt checks what the receipt of a build says.
func wantBuilt(t *testing.T, tmpl template, img pinion.Image, sha string) {
	t.Helper()
	if img.Reference != tmpl.reference(sha) || img.Revision.String() != sha ||
		img.Repository != tmpl.url() || img.Platform != "linux/amd64" {
		t.Errorf("commit %s of %s gave %+v", sha, tmpl.url(), img)
	}
	kind, methods := buildkit.KindDocker, []buildkit.Method{buildkit.MethodMoby}
	if tmpl.scene.standalone {
		kind, methods = buildkit.KindBuildkitd,
			[]buildkit.Method{buildkit.MethodDelta, buildkit.MethodFull}
	}
	if img.Builder == nil || img.Builder.Kind != kind || img.Builder.Version == "" {
		t.Errorf("builder is %+v, not %s", img.Builder, kind)
	}
	if img.Delivery == nil || !slices.Contains(methods, img.Delivery.Method) ||
		(img.Delivery.Bytes > 0) != tmpl.scene.standalone {
		t.Errorf("delivery is %+v, not %s", img.Delivery, methods)
	}
	via := map[parts.Flavour]buildkit.Via{parts.Docker29Containerd: buildkit.ViaPull,
		parts.Docker29Classic: buildkit.ViaLoad, parts.Docker20: buildkit.ViaLoad}
	if tmpl.scene.standalone &&
		(img.Delivery.Via != via[tmpl.scene.store] || img.Delivery.Reason != "") {
		t.Errorf("delivery is %+v, not via %s", img.Delivery, via[tmpl.scene.store])
	}
	strategy := buildkit.StrategyCommit
	if tmpl.scene.store == parts.Docker20 && !tmpl.scene.standalone {
		strategy = buildkit.StrategySHA
	}
	if img.Fetch == nil || img.Fetch.Strategy != strategy {
		t.Errorf("fetch is %+v, not %s", img.Fetch, strategy)
	}
	if len(img.Warnings) > 0 || !img.SupersededBy.IsZero() {
		t.Errorf("warnings are %q, superseded by %s", img.Warnings, img.SupersededBy)
	}
}

// TestTwoEngines switches between two engines: each keeps its hit.
func TestTwoEngines(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo two engines")
	other := s.with("DOCKER_HOST", engine(t, parts.Docker29Classic).Host())
	for _, u := range []user{s.user, other} {
		u.ensure(t, pinion.OutcomeBuilt)
	}
	for range 2 {
		a, b := s.ensure(t, pinion.OutcomeHit), other.ensure(t, pinion.OutcomeHit)
		if a.Reference != b.Reference || a.ID == b.ID {
			t.Errorf("one engine has %s %s, the other %s %s", a.Reference, a.ID, b.Reference, b.ID)
		}
	}
}

// TestDockerignore checks that the context is what `docker build` of a clone would take.
func TestDockerignore(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		tmpl.push(t, append(busybox(t, "COPY . /context", "CMD find /context -type f"),
			parts.Text(".dockerignore", "*.md\n!keep.md\nlogs\n"), parts.Text("a.md", ""),
			parts.Text("keep.md", ""), parts.Text("logs/1", ""))...)
		out := s.runContainer(t, s.ensure(t, pinion.OutcomeBuilt).ID)
		if !strings.Contains(out, "/context/keep.md") || strings.Contains(out, "a.md") ||
			strings.Contains(out, "logs") {
			t.Errorf("the context is\n%s", out)
		}
	})
}
