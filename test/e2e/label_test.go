package e2e_test

import (
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

// TestLabels: labels make another image with another tag, which is a hit for the same labels alone.
func TestLabels(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, sha := s.prepare(t, "RUN echo labels")
		ensure := func(want pinion.Outcome, args ...string) pinion.Image {
			t.Helper()
			img := parseImage(t, s.succeed(t,
				append([]string{"ensure", runtime, "--format", "json"}, args...)...))
			if img.Outcome != want {
				t.Errorf("%v: %s because %q, not %s", args, img.Outcome, img.Reason, want)
			}
			s.wantImage(t, img)
			return img
		}
		plain := ensure(pinion.OutcomeBuilt)
		team := ensure(pinion.OutcomeBuilt, "--label", "team=red", "--label", "note=a=b c",
			"--label", "bare")
		if team.ID == plain.ID || !strings.HasPrefix(team.Reference, tmpl.reference(sha)+".") {
			t.Errorf("got %s for %s beside %s", team.Reference, team.ID, plain.ID)
		}
		got, err := s.docker.ImageInspect(t.Context(), team.Reference)
		if err != nil {
			t.Fatal(err)
		}
		for k, want := range map[string]string{"team": "red", "note": "a=b c", "bare": ""} {
			if v, ok := got.Config.Labels[k]; !ok || v != want {
				t.Errorf("the label %s is %q, %t", k, v, ok)
			}
		}
		s.reset()
		if again := ensure(pinion.OutcomeHit, "--label", "bare", "--label", "note=a=b c", "--label",
			"team=blue", "--label", "team=red"); again.ID != team.ID {
			t.Errorf("got %s, not %s", again.ID, team.ID)
		}
		if again := ensure(pinion.OutcomeHit); again.ID != plain.ID {
			t.Errorf("got %s, not %s", again.ID, plain.ID)
		}
		if id := s.id(t, "molecule-local/workspace-template-hermes:latest"); id != plain.ID {
			t.Error("latest is the one with labels")
		}
		ensure(pinion.OutcomeBuilt, "--label", "team=blue")
		if out := s.succeed(t, "prune", "--keep", "1", "--dry-run").stdout; strings.Contains(out,
			"a name that Pinion does not give") {
			t.Errorf("prune does not know them:\n%s", out)
		}

		for _, label := range []string{"org.opencontainers.image.revision=x",
			"org.opencontainers.image.source=x", "app.moleculesai.pinion.recipe=x", "=x", "a b=x"} {
			s.fail(t, exitUsage, []string{"label"}, "ensure", runtime, "--label", label)
		}
		s.fail(t, exitUsage, []string{"--build-arg", "ARG"}, "ensure", runtime,
			"--build-arg", "A=b")
		s.with("MOLECULE_IMAGE_REGISTRY", "registry.example/x").fail(t, exitUsage,
			[]string{"label"}, "ensure", runtime, "--label", "a=b")
	})
}
