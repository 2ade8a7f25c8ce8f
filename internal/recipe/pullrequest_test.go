package recipe

import (
	"regexp"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// TestFault69_PullRequestsHaveNamesOfTheirOwn: no part of a recipe that anybody chooses gives a
// branch's image a name of a pull request, or the other way round.
func TestFault69_PullRequestsHaveNamesOfTheirOwn(t *testing.T) {
	branchTag := regexp.MustCompile(`^([0-9a-f]{12}|dev-|latest|unverified-)`)
	seen := map[string]string{}
	for _, platform := range []string{DefaultPlatform, "linux/arm64", "pr/7"} {
		for _, token := range []string{"", "pr-7", "pr-7-aaaaaaaaaaaa"} {
			for _, labels := range []map[string]string{nil, {"pr-7": "pr-7"}} {
				for _, pull := range []int{0, 7, 71, 1<<31 - 1} {
					r := sampleRecipe.WithIsolation(token).WithLabels(labels).OfPullRequest(pull)
					r.Platform = platform
					what := strings.Join([]string{platform, token, r.Tag()}, " ")
					for _, id := range []string{r.Key(), r.Line(), r.Reference()} {
						if other, ok := seen[id]; ok {
							t.Errorf("%s and %s are both %s", what, other, id)
						}
						seen[id] = what
					}
					if isPull := strings.HasPrefix(r.Tag(), "pr-"); isPull != (pull != 0) ||
						isPull == branchTag.MatchString(r.Tag()) || len(r.Tag()) > 128 {
						t.Errorf("%s", what)
					}
					if (r.Latest() == "") != (pull != 0) || (r.CacheScope() == "") != (pull == 0) {
						t.Errorf("%s is latest as %q, and its scope %q", what, r.Latest(),
							r.CacheScope())
					}
					rec := cache.Record{Key: r.Key(), Reference: r.Reference(), Revision: shaA,
						Platform: platform, Labels: labels, Isolation: token, PullRequest: pull,
						Repository: r.Repository}
					got, ours := FromRecord(rec)
					if !ours || got.Family() != r.Family() {
						t.Errorf("%s is not known again", what)
					}
					rec.PullRequest++
					if _, ours := FromRecord(rec); ours {
						t.Errorf("%s is taken for one of another pull request", what)
					}
				}
			}
		}
	}
	r := sampleRecipe.OfPullRequest(7)
	if r.Reference() != "molecule-local/workspace-template-x:pr-7-aaaaaaaaaaaa" ||
		r.Labels()[LabelPullRequest] != "7" || r.Labels()[LabelRevision] != shaA {
		t.Errorf("%s with %v", r.Reference(), r.Labels())
	}
}
