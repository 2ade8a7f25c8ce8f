package e2e_test

import (
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

func TestPlatformThatTheBuilderLacks(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo platform")
		s.with("MOLECULE_IMAGE_PLATFORM", "linux/s390x").refused(t,
			pinion.ErrPlatform, "linux/s390x")
		wantNoTrace(t, s)
	})
}

// TestOtherPlatform builds for a platform that most amd64 builders have too (the containerd worker
// inside the engine does not list it). Its images and hits stay apart from the default platform's.
func TestOtherPlatform(t *testing.T) {
	onCells(t, []cell{containerdStandalone, classicOwn, classicStandalone, oldOwn},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			tmpl := s.template(t, runtime, parts.RepoOptions{})
			sha := tmpl.push(t, parts.Text("Dockerfile", "FROM scratch\nCOPY word /\n"),
				parts.Text("word", "x"))
			other := s.with("MOLECULE_IMAGE_PLATFORM", "linux/386")
			img := other.ensure(t, pinion.OutcomeBuilt)
			if img.Platform != "linux/386" || img.Reference != tmpl.reference(sha)+"-linux-386" {
				t.Errorf("the image is %+v", img)
			}
			s.wantImage(t, img)
			if amd := s.ensure(t, pinion.OutcomeBuilt); amd.ID == img.ID {
				t.Error("both platforms have one image")
			}
			other.ensure(t, pinion.OutcomeHit)
			s.ensure(t, pinion.OutcomeHit)
		})
}

func TestNativePlatform(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo native")
		native := s.with("MOLECULE_IMAGE_PLATFORM", "native")
		img := native.ensure(t, pinion.OutcomeBuilt)
		if !strings.HasPrefix(img.Platform, "linux/") {
			t.Errorf("the image is %+v", img)
		}
		s.wantImage(t, img)
		native.ensure(t, pinion.OutcomeHit)
	})
}
