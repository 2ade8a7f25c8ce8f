package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestPrivateRepository(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl := s.template(t, runtime, parts.RepoOptions{Private: true})
		tmpl.busybox(t, "RUN echo private")

		// Gitea shows others a private repository as a missing one.
		s.refuse(t, pinion.ErrNotFound, tmpl.url(), "private", "MOLECULE_GITEA_TOKEN")
		s.with("MOLECULE_GITEA_TOKEN", strings.Repeat("0", 40)).refuse(t, pinion.ErrUnauthorized,
			"MOLECULE_GITEA_TOKEN")
		if n := s.engine.Count("/grpc") + s.engine.Count("/session"); n != 0 {
			t.Errorf("the builder was contacted %d times for what may not be read", n)
		}

		member := s.with("MOLECULE_GITEA_TOKEN", s.token(t))
		built := member.ensure(t, pinion.OutcomeBuilt)
		s.wantImage(t, built)
		s.reset()
		member.ensure(t, pinion.OutcomeHit)
		s.wantHitTraffic(t)
	})
}

func TestBadTokenOnPublicRepository(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t)
	s.with("MOLECULE_GITEA_TOKEN", "bad").refuse(t, pinion.ErrUnauthorized,
		"MOLECULE_GITEA_TOKEN", "rejected")
}

func TestRepositoriesWithoutACommitToBuild(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, s *scene) (words []string)
	}{
		{"missing", func(_ *testing.T, s *scene) []string {
			return []string{"not mirrored", s.repoPrefix(s.git.URL()) + runtime}
		}},
		{"empty", func(t *testing.T, s *scene) []string {
			s.template(t, runtime, parts.RepoOptions{})
			return []string{"empty"}
		}},
		{"deleted", func(t *testing.T, s *scene) []string {
			tmpl, _ := s.prepare(t)
			if err := s.gitea.Delete(t.Context(), tmpl.repo); err != nil {
				t.Fatal(err)
			}
			return []string{"not mirrored", tmpl.url()}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, containerdOwn)
			s.refuse(t, pinion.ErrNotFound, c.prepare(t, s)...)
			if asked := s.engine.Requests(); len(asked) != 0 {
				t.Errorf("the engine was asked %+v", asked)
			}
		})
	}
}

func TestRenamedRepository(t *testing.T) {
	s := newScene(t, containerdOwn)
	// The redirect names the server by its own address, so the proxy stays out of it.
	direct := s.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", s.repoPrefix(s.gitea.URL()))
	tmpl, _ := s.prepare(t, "RUN echo renamed")
	direct.ensure(t, pinion.OutcomeBuilt)
	if _, err := s.gitea.Rename(t.Context(), tmpl.repo, s.prefix+"elsewhere"); err != nil {
		t.Fatal(err)
	}
	_, err := direct.try(t)
	wantError(t, err, pinion.ErrNotFound, "moved to", s.repoPrefix(s.gitea.URL())+"elsewhere")
	if strings.Contains(err.Error(), "not mirrored") {
		t.Errorf("%v", err)
	}
}

func TestUnbornHEADTakesTheDefaultBranch(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, sha := s.prepare(t, "RUN echo unborn")
	if err := s.gitea.Settle(t.Context(), tmpl.repo); err != nil {
		t.Fatal(err)
	}
	if err := s.gitea.SetHEAD(t.Context(), tmpl.repo, "nowhere"); err != nil {
		t.Fatal(err)
	}
	if built := s.ensure(t, pinion.OutcomeBuilt); built.Revision.String() != sha {
		t.Errorf("main is at %s, built was %s", sha, built.Revision)
	}
	s.ensure(t, pinion.OutcomeHit)
}

func TestDefaultBranchDecides(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, _ := s.prepare(t, "RUN echo main")
	other := tmpl.commit(t, parts.Commit{Branch: "other", From: "main",
		Files: busybox(t, "RUN echo other")})
	if err := s.gitea.SetDefaultBranch(t.Context(), tmpl.repo, "other"); err != nil {
		t.Fatal(err)
	}
	if built := s.ensure(t, pinion.OutcomeBuilt); built.Revision.String() != other {
		t.Errorf("the default branch is at %s, built was %s", other, built.Revision)
	}
}

// TestFirstPushIsSeenAtOnce asks in the second in which Gitea's own API does not know the branch
// yet.
func TestFirstPushIsSeenAtOnce(t *testing.T) {
	s := newScene(t, containerdOwn)
	o := s.open(t)
	tmpl := s.template(t, runtime, parts.RepoOptions{})
	for range 3 {
		sha := tmpl.busybox(t)
		got, err := o.Resolve(t.Context(), runtime)
		if err != nil || got.Revision.String() != sha || got.Ref != "refs/heads/main" {
			t.Errorf("pushed %s, resolved %+v, %v", sha, got, err)
		}
	}
	if n := s.git.Count("/api/"); n != 0 {
		t.Errorf("the API was asked %d times", n)
	}
}

// TestServerTrouble: if the git server fails in any way, an earlier image is not returned.
func TestServerTrouble(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo trouble")
	s.ensure(t, pinion.OutcomeBuilt)
	for _, c := range []struct {
		name string
		hook parts.Hook
		kind error
	}{
		{"500", parts.FailPath("/", http.StatusInternalServerError, "boom"), pinion.ErrUnavailable},
		{"403", parts.FailPath("/", http.StatusForbidden, "no"), pinion.ErrUnauthorized},
		{"429", parts.FailPath("/", http.StatusTooManyRequests, "slow down"),
			pinion.ErrRateLimited},
		{"HTML", parts.FailPath("/", http.StatusOK, "<html>sign in</html>"),
			pinion.ErrInvalidAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.git.SetHook(c.hook)
			defer s.git.SetHook(nil)
			s.refuse(t, c.kind)
		})
	}
	s.ensure(t, pinion.OutcomeHit)
}

// TestSHA256Repository runs on Gitea where its git is new enough, and on git's own server
// everywhere.
func TestSHA256Repository(t *testing.T) {
	t.Run("gitea", func(t *testing.T) {
		if ok, err := gitea(t).SupportsSHA256(t.Context()); err != nil || !ok {
			t.Skipf("gitea makes no sha256 repositories with this git (%v)", err)
		}
		s := newScene(t, containerdStandalone)
		tmpl := s.template(t, runtime, parts.RepoOptions{ObjectFormat: parts.SHA256})
		buildSHA256(t, s, tmpl.busybox(t, "RUN echo sha256"))
	})
	t.Run("git http-backend", func(t *testing.T) {
		s := newScene(t, containerdStandalone)
		server := partstest.GitHTTP(t)
		if err := server.CreateRepo(t.Context(), "t-"+runtime, parts.SHA256); err != nil {
			t.Fatal(err)
		}
		sha, err := server.Push(t.Context(), "t-"+runtime,
			parts.Commit{Files: busybox(t, "RUN echo sha256")})
		if err != nil {
			t.Fatal(err)
		}
		s.git = partstest.Proxy(t, server.URL())
		s.user = s.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", s.git.URL()+"/t-")
		buildSHA256(t, s, sha)
	})
}

func buildSHA256(t *testing.T, s *scene, sha string) {
	t.Helper()
	built := s.ensure(t, pinion.OutcomeBuilt)
	if len(sha) != 64 || built.Revision.String() != sha {
		t.Errorf("pushed %s, built %s", sha, built.Revision)
	}
	s.reset()
	s.ensure(t, pinion.OutcomeHit)
	s.wantHitTraffic(t)
}

func TestMissingDockerfile(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.template(t, runtime, parts.RepoOptions{}).push(t,
			parts.Text("README.md", "no Dockerfile"))
		s.refuse(t, pinion.ErrRefused, "Dockerfile")
		wantNoTrace(t, s)
	})
}

func TestFailingRUN(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo fine", "RUN echo broken && exit 42")
		_, err := s.try(t)
		wantStep(t, err)
		wantNoTrace(t, s)
	})
}

func stepErrorOf(err error) *pinion.StepError {
	step := &pinion.StepError{}
	_ = errors.As(err, &step)
	return step
}

func wantStep(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, pinion.ErrBuild, "Dockerfile:5", "42")
	step := stepErrorOf(err)
	if step.File != "Dockerfile" || step.Line != 5 || step.ExitCode != 42 {
		t.Errorf("the step is %+v", step)
	}
}

// TestFailingStepBesideOthers: the step that failed is named, not one that was cancelled for it.
func TestFailingStepBesideOthers(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "ADD "+s.git.URL()+"/nowhere /x")
		_, err := s.try(t)
		wantError(t, err, pinion.ErrBuild, "404")
		if step := stepErrorOf(err); strings.Contains(step.Step, "busybox") || step.Line != 0 &&
			step.Line != 4 {
			t.Errorf("the step is %+v", step)
		}
	})
}

// wantNoTrace checks that a failure left neither a record nor a name.
func wantNoTrace(t *testing.T, s *scene) {
	t.Helper()
	if records := s.records(t, "*"); len(records) != 0 {
		t.Errorf("a failure is remembered in %q", records)
	}
	s.wantNothingTemporary(t, runtime)
}

func TestNames(t *testing.T) {
	s := newScene(t, containerdOwn)
	for _, name := range []string{"unknown", "", "-x", "../hermes", "Hermes", "hermes "} {
		_, err := s.open(t).Ensure(context.Background(), name)
		wantError(t, err, pinion.ErrUnknownTemplate, "claude-code")
	}
	if n := len(s.git.Requests()) + len(s.engine.Requests()); n != 0 {
		t.Errorf("names outside the catalogue cost %d requests", n)
	}
}
