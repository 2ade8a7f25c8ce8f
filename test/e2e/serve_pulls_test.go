package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// withPulls gives the user a config file by which statuses go to Gitea and pull requests are built.
func (s *scene) withPulls(t *testing.T, rules string) user {
	t.Helper()
	token, err := s.gitea.CreateToken(t.Context(), s.gitea.Administrator(), "write:repository")
	if err != nil {
		t.Fatal(err)
	}
	return s.with("STATUS_TOKEN", token, "PINION_CONFIG", configFile(t, fmt.Sprintf(
		"templates:\n- {name: %s, pull_requests: %s}\n"+
			"servers:\n- {host: %q, forge: gitea, status_token_env: STATUS_TOKEN}\n",
		runtime, rules, strings.TrimPrefix(s.git.URL(), "http://"))))
}

// branch pushes a commit to a branch of the template that begins at main.
func (tmpl template) branch(t *testing.T, name string, lines ...string) string {
	t.Helper()
	return tmpl.commit(t, parts.Commit{Branch: name, From: "main", Files: busybox(t, lines...)})
}

// pullRequest opens one of a user's.
func (tmpl template) pullRequest(t *testing.T, u parts.User, head string) int {
	t.Helper()
	n, err := tmpl.scene.gitea.OpenPull(t.Context(), u, tmpl.repo, head)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (tmpl template) pullReference(number int, sha string) string {
	return fmt.Sprintf("molecule-local/workspace-template-%s:pr-%d-%s", tmpl.name, number, sha[:12])
}

// images returns the images of a user, by reference.
func (u user) images(t *testing.T) map[string]pinion.Built {
	t.Helper()
	list, err := u.open(t).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	images := map[string]pinion.Built{}
	for _, b := range list {
		images[b.Reference] = b
	}
	return images
}

// TestPullRequests: a pull request of a real Gitea from a branch of the repository is built under a
// name of its own, with a status; one from a fork is not. The branch keeps its image, its record
// and latest. A push gives another image, and what is closed is pruned.
func TestPullRequests(t *testing.T) {
	s := newScene(t, containerdOwn)
	u := s.withPulls(t, "{}")
	tmpl, first := s.prepare(t, "RUN echo first")
	p, srv := u.serveOnPort(t, "--watch", "--warm", runtime, "--watch-interval", "1h")
	s.hookAt(t, tmpl, srv, "json", "gitea", "pull_request", "pull_request_sync")
	srv.waitFor(t, first, pinion.BuildDone)
	before := u.images(t)[tmpl.reference(first)]

	one := tmpl.branch(t, "feature", "RUN echo one")
	number := tmpl.pullRequest(t, s.gitea.Administrator(), "feature")
	b := srv.waitFor(t, one, pinion.BuildDone)
	if b.PullRequest != number || b.Reference != tmpl.pullReference(number, one) ||
		b.Image.Reference != b.Reference || b.Image.PullRequest != number || b.Pinned {
		t.Errorf("%+v with %+v", b, b.Image)
	}
	if got := tmpl.status(t, one, "success"); got.Context != "pinion/"+runtime+"/pull" {
		t.Errorf("%+v", got)
	}
	if all := tmpl.statuses(t, one); len(all) != 2 || all[1].Status != "pending" {
		t.Errorf("%+v", all)
	}
	if got := u.images(t); len(got) != 2 || got[tmpl.reference(first)] != before ||
		got[b.Reference].PullRequest != number {
		t.Errorf("%+v", got)
	}
	latest := "molecule-local/workspace-template-" + runtime + ":latest"
	if img, err := s.docker.ImageInspect(t.Context(), latest); err != nil ||
		img.ID != before.ImageID {
		t.Errorf("latest is %s, %v", img.ID, err)
	}

	two := tmpl.commit(t, parts.Commit{Branch: "feature", Files: busybox(t, "RUN echo two")})
	srv.waitFor(t, two, pinion.BuildDone)
	tmpl.status(t, two, "success")

	stranger, err := s.gitea.CreateUser(t.Context(), s.prefix+"stranger")
	if err != nil {
		t.Fatal(err)
	}
	fork, err := s.gitea.Fork(t.Context(), stranger, tmpl.repo)
	if err != nil {
		t.Fatal(err)
	}
	theirs := template{s, runtime, fork}.branch(t, "theirs", "RUN echo of a stranger")
	other := tmpl.pullRequest(t, stranger, stranger.Name+":theirs")
	eventually(t, "a line in the log", func() bool {
		return strings.Contains(p.stderr.String(), fmt.Sprintf("pull request %d of %s: %s: it is "+
			"from a fork, by %s", other, tmpl.repo, runtime, stranger.Name))
	})
	if found := srv.buildsOf(t, theirs); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	if all := tmpl.statuses(t, theirs); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	// The operator may request it, at the commit that was looked at and no other.
	r := u.run(t, "ensure", runtime, "--pull-request", fmt.Sprint(other), "--sha", two)
	if r.code == 0 || !strings.Contains(r.stderr, "is "+theirs+" by now") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	img := want[pinion.Image](t, srv.ask(t.Context(), "POST", "/v1/images/"+runtime+"?wait=10m",
		fmt.Sprintf(`{"pull_request": %d, "revision": %q}`, other, theirs)), 200)
	if img.Reference != tmpl.pullReference(other, theirs) || img.Outcome != pinion.OutcomeBuilt {
		t.Errorf("%+v", img)
	}
	if hit := parseImage(t, u.succeed(t, "ensure", runtime, "--pull-request", fmt.Sprint(other),
		"--format", "json")); hit.ID != img.ID || hit.Outcome != pinion.OutcomeHit {
		t.Errorf("%+v", hit)
	}

	u.succeed(t, "prune")
	wantNames := func(refs ...string) {
		t.Helper()
		got := u.images(t)
		for _, ref := range refs {
			if _, ok := got[ref]; !ok {
				t.Errorf("%s is not there", ref)
			}
		}
		if len(got) != len(refs) {
			t.Errorf("%+v", got)
		}
	}
	wantNames(tmpl.reference(first), tmpl.pullReference(number, two),
		tmpl.pullReference(other, theirs))
	if err := s.gitea.SetPullState(t.Context(), tmpl.repo, number, "closed"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a prune", func() bool {
		u.succeed(t, "prune")
		return len(u.images(t)) == 2
	})
	wantNames(tmpl.reference(first), tmpl.pullReference(other, theirs))

	// One that is opened again is built again. Its image is none of the branch, even of the same
	// commit.
	if err := s.gitea.SetPullState(t.Context(), tmpl.repo, number, "open"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the image of the pull request", func() bool {
		return u.images(t)[tmpl.pullReference(number, two)].ImageID != ""
	})
	again := u.images(t)[tmpl.pullReference(number, two)]
	if err := s.gitea.Force(t.Context(), tmpl.repo, "main", two); err != nil {
		t.Fatal(err)
	}
	merged := parseImage(t, u.succeed(t, "ensure", runtime, "--format", "json"))
	if merged.Reference != tmpl.reference(two) || merged.Outcome != pinion.OutcomeBuilt ||
		merged.ID == again.ImageID || merged.PullRequest != 0 {
		t.Errorf("%+v", merged)
	}
	before = u.images(t)[merged.Reference]
	if img, err := s.docker.ImageInspect(t.Context(), latest); err != nil ||
		img.ID != before.ImageID {
		t.Errorf("latest is %s, %v", img.ID, err)
	}
}
