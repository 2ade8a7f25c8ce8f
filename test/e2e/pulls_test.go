package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestFault70_CacheMountsOfAPullRequest: what the author of a pull request writes to a cache mount
// gets into no image of the branch. Neither is the mount the branch's, nor is a step of the branch
// taken for the same step of the pull request, which was made with the content of the mount.
func TestFault70_CacheMountsOfAPullRequest(t *testing.T) {
	partstest.OnSomeDays(t)
	onCells(t, builders(), func(t *testing.T, c cell) {
		for _, mount := range []string{"target=/shared", "id=of-all,target=/shared",
			"sharing=locked,target=/shared"} {
			t.Run(mount, func(t *testing.T) {
				s := newScene(t, c)
				u := s.withPulls(t, "{}")
				run := "RUN --mount=type=cache," + mount
				tmpl, _ := s.prepare(t, run+" echo of the branch > /shared/x")
				u.succeed(t, "ensure", runtime)
				tmpl.branch(t, "feature", run+" echo poison of $(cat /shared/x) > /shared/x; "+
					"cat /shared/x > /out", `CMD ["/bin/busybox", "cat", "/out"]`)
				n := fmt.Sprint(tmpl.pullRequest(t, s.gitea.Administrator(), "feature"))
				ensure := func(args ...string) string {
					t.Helper()
					img := parseImage(t, u.succeed(t, append([]string{"ensure", runtime,
						"--format", "json"}, args...)...))
					return strings.TrimSpace(s.runContainer(t, img.ID))
				}
				if got := ensure("--pull-request", n); got != "poison of" {
					t.Errorf("the pull request reads %q", got)
				}
				lines := []string{run + " cat /shared/x > /out",
					`CMD ["/bin/busybox", "cat", "/out"]`}
				tmpl.commit(t, parts.Commit{Branch: "feature", Files: busybox(t, lines...)})
				eventually(t, "the new head", func() bool {
					return ensure("--pull-request", n) == "poison of" &&
						len(u.images(t)) == 3
				})
				tmpl.busybox(t, lines...)
				if got := ensure(); got != "of the branch" {
					t.Errorf("the branch reads %q", got)
				}
			})
		}
	})
}

// TestFault72_PrivateBaseImageOfAPullRequest: a Dockerfile of a pull request gets no image that
// takes the operator's login, unless the catalogue says so.
func TestFault72_PrivateBaseImageOfAPullRequest(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn, containerdStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			base := s.prefix + "base"
			d.push(t, base, "1", storetest.Spec{Content: "the base of " + t.Name()})
			tmpl, _ := s.prepare(t, "RUN echo first")
			tmpl.commit(t, parts.Commit{Branch: "feature", From: "main", Files: []parts.File{
				parts.Text("Dockerfile", "FROM "+d.host+"/"+base+":1\nCOPY word /\n"),
				parts.Text("word", "x")}})
			n := fmt.Sprint(tmpl.pullRequest(t, s.gitea.Administrator(), "feature"))
			d.Reset()
			d.withLogin(t, s.withPulls(t, "{}"), depotPassword).fail(t, exitBuild,
				[]string{d.host + "/" + base}, "ensure", runtime, "--pull-request", n)
			for _, asked := range d.Requests() {
				if asked.Authorization != "" {
					t.Errorf("%s %s has an authorization", asked.Method, asked.Path)
				}
			}
			u := d.withLogin(t, s.withPulls(t, "{credentials: true}"), depotPassword)
			img := parseImage(t, u.succeed(t, "ensure", runtime, "--pull-request", n, "--format",
				"json"))
			if img.Outcome != pinion.OutcomeBuilt || img.Reference !=
				tmpl.pullReference(img.PullRequest, img.Revision.String()) {
				t.Errorf("%+v", img)
			}
			s.fail(t, exitUsage, []string{"does not allow pull requests"}, "ensure", runtime,
				"--pull-request", n)
		})
}
