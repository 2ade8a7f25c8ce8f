package e2e_test

import (
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestIsolation: jobs with tokens of their own, on one engine and with one cache folder, have
// images of their own, and remove no others.
func TestIsolation(t *testing.T) {
	for _, flavour := range []parts.Flavour{parts.Docker29Containerd, parts.Docker29Classic} {
		t.Run(string(flavour), func(t *testing.T) {
			s, push := pruneScene(t, flavour)
			const variable = "MOLECULE_LOCAL_IMAGE_ISOLATION"
			one, two := s.with(variable, "job-1"), s.with(variable, "job-2")
			sha := push()
			plain := s.ensure(t, pinion.OutcomeBuilt)
			first, second := one.ensure(t, pinion.OutcomeBuilt), two.ensure(t, pinion.OutcomeBuilt)
			repository := "molecule-local/workspace-template-" + runtime + ":"
			for ref, id := range map[string]string{
				repository + sha[:12]: plain.ID, repository + "latest": plain.ID,
				repository + sha[:12] + "--job-1": first.ID,
				repository + "latest--job-1":      first.ID,
				repository + sha[:12] + "--job-2": second.ID,
				repository + "latest--job-2":      second.ID,
			} {
				if got := s.id(t, ref); got != id {
					t.Errorf("%s is %q, not %q", ref, got, id)
				}
			}
			if hit := one.ensure(t, pinion.OutcomeHit); hit.ID != first.ID {
				t.Errorf("the hit is %s", hit.ID)
			}
			push()
			one.ensure(t, pinion.OutcomeBuilt)
			out := one.succeed(t, "prune", "--keep", "1").stdout
			if strings.Count(out, sha[:12]) != 1 || s.id(t, first.Reference) != "" ||
				s.id(t, second.Reference) != second.ID || s.id(t, plain.Reference) != plain.ID {
				t.Errorf("after prune: %q\n%s", s.tags(t, runtime), out)
			}
			if out := two.succeed(t, "ls", "-q").stdout; strings.Count(out, "\n") != 1 {
				t.Errorf("ls prints %q", out)
			}
			two.fail(t, exitUsage, []string{"Job", "token"}, "--isolation", "Job", "ensure",
				runtime)
		})
	}
}
