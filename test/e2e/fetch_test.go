package e2e_test

import (
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// gitBackend is a scene whose templates are on git's own server, behind the scene's proxy.
func gitBackend(t *testing.T, c cell) (*scene, *parts.GitHTTP) {
	t.Helper()
	s, server := newScene(t, c), partstest.GitHTTP(t)
	s.git = partstest.Proxy(t, server.URL())
	s.user = s.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", s.git.URL()+"/t-")
	if err := server.CreateRepo(t.Context(), "t-"+runtime, ""); err != nil {
		t.Fatal(err)
	}
	return s, server
}

// fetches is how many times the builder asked the git server: git begins with this request, and
// Pinion's look-up does without it.
func (s *scene) fetches() int { return s.git.Count("/info/refs") }

// TestFetchCostsOneTree: of thousands of commits the builder gets one, and none if it has that one.
func TestFetchCostsOneTree(t *testing.T) {
	partstest.OnSomeDays(t)
	for i, c := range []struct {
		cell
		strategy buildkit.Strategy
	}{
		{containerdStandalone, buildkit.StrategyCommit}, {containerdOwn, buildkit.StrategyCommit},
		{classicOwn, buildkit.StrategyCommit}, {oldOwn, buildkit.StrategySHA},
	} {
		t.Run(c.String(), func(t *testing.T) {
			s, server := gitBackend(t, c.cell)
			h := parts.History{Commits: 3000, Bytes: 8 << 10, Slots: 32,
				Files: busybox(t, "COPY data/0 /"), Seed: byte(i)}
			sha, err := server.PushHistory(t.Context(), "t-"+runtime, h)
			if err != nil {
				t.Fatal(err)
			}
			built := s.ensure(t, pinion.OutcomeBuilt)
			got := s.git.Bytes()
			t.Logf("%d bytes for a tree of %d in a history of %d", got, h.TreeSize(), h.Size())
			if built.Revision.String() != sha || built.Fetch.Strategy != c.strategy {
				t.Errorf("%s was pushed, and %s fetched by %s", sha, built.Revision,
					built.Fetch.Strategy)
			}
			const answers = 64 << 10 // what is not a file: refs, commits, folders
			switch {
			case c.strategy == buildkit.StrategyCommit &&
				(got > h.TreeSize()+answers || got > h.Size()/8):
				t.Errorf("%d bytes came for a tree of %d in a history of %d",
					got, h.TreeSize(), h.Size())
			case c.strategy == buildkit.StrategySHA && got < h.Size()*9/10:
				t.Errorf("%d bytes came for a history of %d", got, h.Size())
			}

			s.reset()
			s.forgetRecords(t)
			if again := s.ensure(t, pinion.OutcomeBuilt); again.ID != built.ID ||
				again.Fetch.Strategy != c.strategy {
				t.Errorf("built %+v, then %+v", built, again)
			}
			if s.fetches() != 0 || s.git.Bytes() > 1<<10 {
				t.Errorf("the builder has the commit, and %d bytes came for %+v", s.git.Bytes(),
					s.git.Requests())
			}
		})
	}
}

// TestServerThatGivesOnlyHeads: a commit that such a server refuses comes out of the history of its
// refs, also where the builder has the head without its history.
func TestServerThatGivesOnlyHeads(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s, server := gitBackend(t, c)
		if err := server.Configure(t.Context(), "t-"+runtime, "uploadpack.allowAnySHA1InWant",
			"false"); err != nil {
			t.Fatal(err)
		}
		s.git.SetHook(parts.OldGit)
		first := pushWord(t, server, "first")
		pushWord(t, server, "second")
		if head := s.ensure(t, pinion.OutcomeBuilt); c != oldOwn &&
			head.Fetch.Strategy != buildkit.StrategyCommit {
			t.Errorf("the head was fetched by %s", head.Fetch.Strategy)
		}
		s.wantWord(t, first, "first")
		third := pushWord(t, server, "third")
		pushWord(t, server, "fourth")
		s.wantWord(t, third, "third")
	})
}

// pushWord pushes a commit whose image prints a word.
func pushWord(t *testing.T, server *parts.GitHTTP, word string) git.Revision {
	t.Helper()
	sha, err := server.Push(t.Context(), "t-"+runtime,
		parts.Commit{Files: busybox(t, "CMD echo "+word), Message: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	rev, err := git.ParseRevision(sha)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// wantWord builds a commit that is to be fetched the long way.
func (s *scene) wantWord(t *testing.T, rev git.Revision, word string) {
	t.Helper()
	built := s.ensure(t, pinion.OutcomeBuilt, pinion.AtRevision(rev, true))
	if built.Revision != rev || built.Fetch.Strategy != buildkit.StrategySHA {
		t.Errorf("commit %s gave %s, fetched by %s", rev, built.Revision, built.Fetch.Strategy)
	}
	if out := s.runContainer(t, built.ID); out != word+"\n" {
		t.Errorf("the container of commit %s prints %q, not %q", rev, out, word)
	}
}

// TestServerWithoutShallowFetches: the commit comes with its history then, and is the one asked
// for.
func TestServerWithoutShallowFetches(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s, server := gitBackend(t, c)
		s.git.SetHook(parts.RefuseFetch("not at this depth", "deepen"))
		first := pushWord(t, server, "first")
		second := pushWord(t, server, "second")
		s.wantWord(t, first, "first")
		s.wantWord(t, second, "second")
	})
}

// TestServerThatRefusesTheCommit: both ways to fetch fail, and the error names both.
func TestServerThatRefusesTheCommit(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s, server := gitBackend(t, c)
		sha, err := server.Push(t.Context(), "t-"+runtime,
			parts.Commit{Files: busybox(t, "RUN echo refused by "+c.String())})
		if err != nil {
			t.Fatal(err)
		}
		s.git.SetHook(parts.RefuseFetch("upload-pack: not our ref "+sha, "want "+sha))
		_, err = s.try(t)
		wantError(t, err, pinion.ErrFetch, "asked for the single commit", "by its own network")
		if n := strings.Count(err.Error(), "not our ref "+sha); n < 2 {
			t.Errorf("the server refused twice, and the error says it %d times: %v", n, err)
		}
		wantNoTrace(t, s)
	})
}
