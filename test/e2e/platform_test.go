package e2e_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestPlatformThatTheBuilderLacks fails at the first program of that platform, and with the remedy.
func TestPlatformThatTheBuilderLacks(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		files := busybox(t)
		const machine, s390 = 18, 22 // the place in an ELF header, and a value there
		files[1].Data = slices.Clone(files[1].Data)
		files[1].Data[machine] = s390
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		tmpl.push(t, files...)
		other := s.with("MOLECULE_IMAGE_PLATFORM", "linux/s390x")
		other.refuse(t, pinion.ErrPlatform, "linux/s390x", "Dockerfile:3")
		wantNoTrace(t, s)
		other.fail(t, exitNoBuilder, []string{"--install s390x"}, "ensure", runtime)
	})
}

// TestPlatformOfWhichNothingRuns: stages that run are of the builder's own platform.
func TestPlatformOfWhichNothingRuns(t *testing.T) {
	d := newDepot(t)
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.user = d.withLogin(t, s.user, depotPassword)
		d.push(t, s.prefix+"base", "1", storetest.Spec{Content: "base"})
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		files := busybox(t)
		files[0] = parts.Text("Dockerfile", "FROM --platform=$BUILDPLATFORM "+d.host+"/"+s.prefix+
			"base:1 AS build\nCOPY busybox /bin/sh\nARG TARGETARCH\n"+
			"RUN echo $TARGETARCH > /word\nFROM scratch\nCOPY --from=build /word /\n")
		sha := tmpl.push(t, files...)
		img := s.with("MOLECULE_IMAGE_PLATFORM", "linux/s390x").ensure(t, pinion.OutcomeBuilt)
		if img.Platform != "linux/s390x" || img.Reference != tmpl.reference(sha)+"-linux-s390x" {
			t.Errorf("the image is %+v", img)
		}
		s.wantImage(t, img)
	})
}

// TestOtherPlatform builds for a platform that most amd64 builders have too (the containerd worker
// inside the engine does not list it). Its images and hits stay apart from the default platform's.
func TestOtherPlatform(t *testing.T) {
	onCells(t, []cell{containerdOwn, containerdStandalone, classicOwn, classicStandalone, oldOwn},
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

// wantCheckOverHTTP: a caller of the server is shown the remark while the build runs, and with its
// failure. An old builder has none.
func wantCheckOverHTTP(t *testing.T, s *scene, has bool) {
	t.Helper()
	srv := serveHere(t, s.open(t))
	got := want[accepted](t, srv.ask(t.Context(), "POST", "/v1/images/"+runtime, ""), 202)
	events, err := srv.events(t.Context(), got.Build.ID)
	if err != nil || len(events) == 0 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	isRemark := func(c pinion.BuildCheck) bool {
		return c.Rule == "InvalidBaseImagePlatform" && c.Line == 1
	}
	seen := slices.ContainsFunc(events, func(e pinion.Event) bool {
		return e.Type == pinion.EventCheck && isRemark(*e.Check)
	})
	failed := want[pinion.Failure](t, srv.ensure(t.Context()), 422)
	if seen != has || slices.ContainsFunc(failed.Checks, isRemark) != has {
		t.Errorf("the events are %+v, the failure %+v", events, failed)
	}
}

// TestBaseOfAnotherPlatform: an image must be what its label says. Where the catalogue allows it to
// be something else, the receipt says so, also that of a hit.
func TestBaseOfAnotherPlatform(t *testing.T) {
	d := newDepot(t)
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.user = d.withLogin(t, s.user, depotPassword)
		d.push(t, s.prefix+"base", "1", storetest.Spec{Content: "base", Architecture: "arm64"})
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		sha := tmpl.push(t, parts.Text("word", "x"), parts.Text("Dockerfile",
			"FROM "+d.host+"/"+s.prefix+"base:1\nLABEL "+pinion.LabelSource+"=x\nCOPY word /\n"))
		s.refuse(t, pinion.ErrRefused, "base:1 is for linux/arm64, not linux/amd64",
			"Dockerfile:1")
		wantNoTrace(t, s)
		r := s.fail(t, exitBuild, []string{"allow_base_platform: true"}, "ensure", "-q", runtime)
		if has := strings.Contains(r.stderr, "pinion: warning: "+runtime+
			": Dockerfile:1: InvalidBaseImagePlatform: "); has != (c != oldOwn) {
			t.Errorf("stderr is %q", r.stderr)
		}
		wantCheckOverHTTP(t, s, c != oldOwn)

		config := filepath.Join(s.env["HOME"], "config.yaml")
		write(t, config, "templates:\n  - {name: "+runtime+", allow_base_platform: true}\n", 0o600)
		allowed := s.with("PINION_CONFIG", config)
		img := allowed.ensure(t, pinion.OutcomeBuilt)
		if len(img.Checks) != 1 || img.Checks[0].Rule != "InvalidBaseImagePlatform" ||
			img.Checks[0].Line != 1 ||
			!strings.HasPrefix(img.Reference, tmpl.reference(sha)+".f") ||
			!slices.Contains(img.Warnings, img.Checks[0].String()) ||
			!slices.ContainsFunc(img.Warnings, func(w string) bool {
				return strings.Contains(w, "Dockerfile:2: the label "+pinion.LabelSource)
			}) {
			t.Errorf("the image is %+v", img)
		}
		hit := allowed.ensure(t, pinion.OutcomeHit)
		if !slices.Equal(hit.Checks, img.Checks) ||
			!slices.Equal(hit.Warnings, []string{img.Checks[0].String()}) {
			t.Errorf("the hit is %+v", hit)
		}
		s.refuse(t, pinion.ErrRefused, "linux/arm64") // without the key it is no hit
	})
}
