package e2e_test

import (
	"context"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// killable is a builder or an engine that can be killed and come back.
type killable interface {
	Kill()
	Restart(ctx context.Context) error
}

// goneCode is what a scene's user gets while the builder is gone: with the engine the image store
// is gone too.
func goneCode(s *scene) int {
	if s.env["BUILDKIT_HOST"] == "" {
		return exitStore
	}
	return exitNoBuilder
}

// TestEngineGone: without the engine there is no image, even if there are records.
func TestEngineGone(t *testing.T) {
	own := partstest.Dockerd(t, parts.Docker29Containerd)
	s := newSceneOn(t, own.Host())
	s.user = s.with("DOCKER_HOST", own.Host())
	s.prepare(t, "RUN echo engine")
	s.ensure(t, pinion.OutcomeBuilt)
	own.Kill()
	s.refuse(t, pinion.ErrStore, own.Host(), "does not answer")
	s.fail(t, exitStore, []string{own.Host(), "pinion doctor"}, "ensure", runtime)
	if err := own.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.ensure(t, pinion.OutcomeHit)
}

// TestBuilderGone: one that was named and does not answer is an error, and the engine's own does
// not stand in for it. A hit needs neither.
func TestBuilderGone(t *testing.T) {
	own := partstest.Buildkitd(t, parts.BuildkitdOptions{})
	s := newScene(t, classicOwn)
	s.user = s.with("BUILDKIT_HOST", own.Addr())
	tmpl, _ := s.prepare(t, "RUN echo builder")
	s.ensure(t, pinion.OutcomeBuilt)
	own.Stop()
	s.ensure(t, pinion.OutcomeHit)
	tmpl.busybox(t, "RUN echo builder again")
	s.refuse(t, pinion.ErrNoBuilder, own.Addr())
	s.fail(t, exitNoBuilder, []string{own.Addr(), "BUILDKIT_HOST"}, "ensure", runtime)
	if n := s.engine.Count("/grpc"); n != 0 {
		t.Errorf("the engine's builder was asked %d times", n)
	}
	if err := own.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.ensure(t, pinion.OutcomeBuilt)
}
