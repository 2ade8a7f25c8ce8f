package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// atFetch starts an Ensure and holds the builder's fetch while change runs, which is after the
// look-up.
func atFetch(t *testing.T, s *scene, change func()) answer {
	t.Helper()
	hook, arrived, release := parts.GatePath("/info/refs")
	s.git.SetHook(hook)
	defer s.git.SetHook(nil)
	defer release()
	got := ask(t.Context(), s.open(t))
	receive(t, "the fetch", arrived)
	change()
	release()
	return receive(t, "the answer", got)
}

// TestFault28_HEADMovesAfterTheLookUp: what was pinned is built, and the receipt says what came
// after it.
func TestFault28_HEADMovesAfterTheLookUp(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, pinned := s.prepare(t, "RUN echo pinned > /word", "CMD cat /word")
		var next string
		got := atFetch(t, s, func() {
			next = tmpl.busybox(t, "RUN echo next > /word", "CMD cat /word")
		})
		if got.err != nil {
			t.Fatal(got.err)
		}
		if got.image.Revision.String() != pinned || got.image.SupersededBy.String() != next {
			t.Errorf("pinned %s, then pushed %s: built %s, superseded by %s", pinned, next,
				got.image.Revision, got.image.SupersededBy)
		}
		if out := s.runContainer(t, got.image.ID); out != "pinned\n" {
			t.Errorf("the container prints %q", out)
		}
		if again := s.ensure(t, pinion.OutcomeBuilt); again.Revision.String() != next {
			t.Errorf("the next call built %s", again.Revision)
		}
	})
}

// TestFault29_ForcePushBeforeTheFetch: that commit or none. Gitea still has what no branch leads
// to.
func TestFault29_ForcePushBeforeTheFetch(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl, pinned := s.prepare(t, "RUN echo pinned")
		var next string
		got := atFetch(t, s, func() {
			next = tmpl.commit(t, parts.Commit{Orphan: true, Files: busybox(t, "RUN echo next")})
		})
		switch {
		case got.err != nil:
			wantGone(t, s, got.err, pinned, next)
		case got.image.Revision.String() != pinned || got.image.SupersededBy.String() != next:
			t.Errorf("pinned %s, forced to %s, built %+v", pinned, next, got.image)
		default:
			s.wantImage(t, got.image)
		}
	})
}

// TestFault29_CommitIsGone has the commit removed from the server for good.
func TestFault29_CommitIsGone(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		dir := partstest.Dir(t)
		server, err := parts.StartGitHTTP(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		s.git = partstest.Proxy(t, server.URL())
		s.user = s.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", s.git.URL()+"/t-")
		if err := server.CreateRepo(t.Context(), "t-"+runtime, ""); err != nil {
			t.Fatal(err)
		}
		push := func(line string) string {
			sha, err := server.Push(t.Context(), "t-"+runtime,
				parts.Commit{Orphan: true, Message: line, Files: busybox(t, line)})
			if err != nil {
				t.Fatal(err)
			}
			return sha
		}
		pinned := push("RUN echo pinned " + t.Name())
		var next string
		got := atFetch(t, s, func() {
			next = push("RUN echo next " + t.Name())
			prune(t, filepath.Join(dir, "t-"+runtime+".git"))
		})
		if got.err == nil {
			t.Fatalf("built %+v", got.image)
		}
		wantGone(t, s, got.err, pinned, next)
	})
}

// wantGone expects a failure that names both commits and left nothing.
func wantGone(t *testing.T, s *scene, err error, pinned, next string) {
	t.Helper()
	wantError(t, err, pinion.ErrFetch, pinned[:12], next[:12], "ask again")
	if id := s.id(t, "molecule-local/workspace-template-hermes:"+next[:12]); id != "" {
		t.Errorf("the other commit was built: %s", id)
	}
	wantNoTrace(t, s)
}

// prune removes what no branch of a repository leads to.
func prune(t *testing.T, repo string) {
	t.Helper()
	for _, args := range [][]string{{"reflog", "expire", "--expire=now", "--all"},
		{"gc", "--quiet", "--prune=now"}} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = repo
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
}

// TestFault30_TagsHaveNoEffect: neither one that moves nor one that is called like the branch or
// the commit.
func TestFault30_TagsHaveNoEffect(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, first := s.prepare(t, "RUN echo first")
	second := tmpl.busybox(t, "RUN echo second > /word", "CMD cat /word")
	tag := func(name, sha string) {
		if _, err := s.gitea.Tag(t.Context(), tmpl.repo, name, sha); err != nil {
			t.Fatal(err)
		}
	}
	tag("v1", second)
	for _, name := range []string{"main", "HEAD", second} {
		tag(name, first)
	}
	built := s.ensure(t, pinion.OutcomeBuilt)
	if built.Revision.String() != second {
		t.Errorf("main is at %s, built was %s", second, built.Revision)
	}
	if out := s.runContainer(t, built.ID); out != "second\n" {
		t.Errorf("the container prints %q", out)
	}
	tag("v1", first)
	s.ensure(t, pinion.OutcomeHit)
}

// TestFault31_OneCommitInTwoRepositories: BuildKit takes it for the same and does not fetch it
// again, but each repository is looked up with the caller's own credential first, and its image and
// record are its own.
func TestFault31_OneCommitInTwoRepositories(t *testing.T) {
	const other = "langgraph"
	for i, c := range []cell{containerdOwn, oldOwn, containerdStandalone} {
		t.Run(c.String(), func(t *testing.T) {
			s := newScene(t, c)
			same := parts.Commit{Message: t.Name(), When: time.Unix(1_700_000_000+int64(i), 0),
				Files: busybox(t, "RUN echo shared > /word", "CMD cat /word")}
			push := func(tmpl template) string {
				sha, err := s.gitea.Push(t.Context(), tmpl.repo, same)
				if err != nil {
					t.Fatal(err)
				}
				return sha
			}
			public, private := s.template(t, runtime, parts.RepoOptions{}),
				s.template(t, other, parts.RepoOptions{Private: true})
			sha := push(public)
			if again := push(private); again != sha {
				t.Fatalf("two commits, %s and %s", sha, again)
			}
			first := s.ensure(t, pinion.OutcomeBuilt)

			s.reset()
			_, err := s.open(t).Ensure(t.Context(), other)
			wantError(t, err, pinion.ErrNotFound, private.url())
			if n := s.engine.Count("/grpc") + s.engine.Count("/session"); n != 0 ||
				s.git.Count(private.repo.String()) == 0 {
				t.Errorf("a stranger had the builder contacted %d times, and the repository "+
					"asked %d times", n, s.git.Count(private.repo.String()))
			}

			s.reset()
			second, err := s.with("MOLECULE_GITEA_TOKEN", s.token(t)).open(t).Ensure(t.Context(),
				other)
			if err != nil {
				t.Fatal(err)
			}
			if n := s.fetches(); n != 0 {
				t.Errorf("the builder fetched %d times what it has", n)
			}
			if second.Outcome != pinion.OutcomeBuilt || second.ID == first.ID ||
				second.Revision != first.Revision {
				t.Errorf("built %+v, then %+v", first, second)
			}
			for tmpl, img := range map[template]pinion.Image{public: first, private: second} {
				labels := s.labels(t, img.ID)
				if source := labels[pinion.LabelSource]; source != tmpl.url() ||
					labels[pinion.LabelRevision] != sha || img.Reference != tmpl.reference(sha) {
					t.Errorf("%s is of %s", img.Reference, source)
				}
			}
			wantRecords(t, s, 2)
		})
	}
}

// TestFault33_CallerWithoutAccess: an image is there, but not for those who may not read its
// repository.
func TestFault33_CallerWithoutAccess(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl := s.template(t, runtime, parts.RepoOptions{Private: true})
	tmpl.busybox(t, "RUN echo mine")
	member := s.with("MOLECULE_GITEA_TOKEN", s.token(t))
	member.ensure(t, pinion.OutcomeBuilt)
	strangers := map[string]user{"without a token": s.user,
		"with a bad token": s.with("MOLECULE_GITEA_TOKEN", "bad")}
	for name, stranger := range strangers {
		if img, err := stranger.try(t); err == nil {
			t.Errorf("a caller %s got %+v", name, img)
		}
	}
	// Also while a caller with access requests the same image in the same process.
	hook, arrived, release := parts.GatePath("/git-upload-pack")
	s.git.SetHook(hook)
	defer release()
	inside := ask(t.Context(), member.open(t))
	receive(t, "the member's look-up", arrived)
	outside := ask(t.Context(), s.open(t))
	receive(t, "the stranger's own look-up", arrived)
	release()
	if got := receive(t, "the member's answer", inside); got.err != nil ||
		got.image.Outcome != pinion.OutcomeHit {
		t.Errorf("the member got %+v", got)
	}
	if got := receive(t, "the stranger's answer", outside); got.err == nil {
		t.Errorf("the stranger got %+v", got.image)
	}
}

// TestFault34_ForeignImage: the expected name, even with the expected labels, is never the hit.
func TestFault34_ForeignImage(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn, containerdStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			tmpl, sha := s.prepare(t, "RUN echo ours")
			ref := tmpl.reference(sha)

			s.foreign(t, storetest.Spec{Tag: ref, Content: "foreign"})
			foreign := s.id(t, ref)
			ours := s.ensure(t, pinion.OutcomeBuilt)
			if ours.ID == foreign || s.id(t, ref) != ours.ID {
				t.Errorf("foreign is %s, ours %s, the name means %s",
					foreign, ours.ID, s.id(t, ref))
			}

			labels := s.labels(t, ours.ID)
			s.foreign(t, storetest.Spec{Tag: ref, Content: "foreign again"})
			again := s.ensure(t, pinion.OutcomeBuilt)
			if !strings.Contains(again.Reason, "not built here") {
				t.Errorf("the reason is %q", again.Reason)
			}
			s.wantImage(t, again)

			// With our labels it may be another user's. The recorded image gets the name back.
			s.foreign(t, storetest.Spec{Tag: ref, Content: "forged", Labels: labels})
			hit := s.ensure(t, pinion.OutcomeHit)
			if hit.ID != again.ID {
				t.Errorf("the hit is %s, not %s", hit.ID, again.ID)
			}
			s.wantImage(t, hit)
		})
}

// labels are those of an image in the engine.
func (s *scene) labels(t *testing.T, ref string) map[string]string {
	t.Helper()
	got, err := s.docker.ImageInspect(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Config.Labels) == 0 {
		t.Fatalf("%s has no labels", ref)
	}
	return got.Config.Labels
}

// TestFault35_TagMovesAfterTheCheck: the ID that was returned still means what was verified.
func TestFault35_TagMovesAfterTheCheck(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo verified > /word", "CMD cat /word")
		img := s.ensure(t, pinion.OutcomeBuilt)
		s.foreign(t, storetest.Spec{Tag: img.Reference, Content: "moved"})
		if out := s.runContainer(t, img.ID); out != "verified\n" {
			t.Errorf("the container prints %q", out)
		}
	})
}

// TestFault37_ImagePruned: a record alone is no image.
func TestFault37_ImagePruned(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn, classicStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			s.prepare(t, "RUN echo pruned")
			img := s.ensure(t, pinion.OutcomeBuilt)
			s.remove(t, img.ID, true)
			if s.id(t, img.ID) != "" {
				t.Fatal("the image is still there")
			}
			again := s.ensure(t, pinion.OutcomeBuilt)
			if !strings.Contains(again.Reason, "no longer in the image store") {
				t.Errorf("the reason is %q", again.Reason)
			}
			s.wantImage(t, again)
		})
}

// TestFault37_StoreSwitched has another store answer at the same address, and then the first again.
func TestFault37_StoreSwitched(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo switched")
	socket := filepath.Join(partstest.Dir(t), "d.sock")
	s.user = s.with("DOCKER_HOST", "unix://"+socket)
	answerFrom := func(flavour parts.Flavour) {
		_ = os.Remove(socket)
		if err := os.Symlink(engine(t, flavour).Socket(), socket); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]bool{}
	for _, step := range []struct {
		store parts.Flavour
		want  pinion.Outcome
	}{
		{parts.Docker29Containerd, pinion.OutcomeBuilt},
		{parts.Docker29Classic, pinion.OutcomeBuilt},
		{parts.Docker29Containerd, pinion.OutcomeHit},
		{parts.Docker29Classic, pinion.OutcomeHit},
	} {
		answerFrom(step.store)
		ids[s.ensure(t, step.want).ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("two stores gave %v", ids)
	}
	wantRecords(t, s, 2)
}

// TestFault42_LostName: the image is there by its ID, so it gets its name back and nothing is
// built.
func TestFault42_LostName(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo lost")
		img := s.ensure(t, pinion.OutcomeBuilt)
		s.remove(t, img.Reference, false)
		if s.id(t, img.Reference) != "" || s.id(t, img.ID) == "" {
			t.Fatal("not the name alone was removed")
		}
		s.reset()
		if again := s.ensure(t, pinion.OutcomeHit); again.ID != img.ID ||
			s.id(t, img.Reference) != img.ID {
			t.Errorf("had %s, got %s, the name means %s", img.ID, again.ID, s.id(t, img.Reference))
		}
		if n := s.engine.Count("/grpc"); n != 0 {
			t.Errorf("the builder was contacted %d times", n)
		}
	})
}

// TestCancelledBeforeTheLookUp: a cancelled call sends no request.
func TestCancelledBeforeTheLookUp(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.open(t).Ensure(ctx, runtime)
	wantError(t, err, context.Canceled)
	if n := s.engine.Count("/grpc"); n != 0 {
		t.Errorf("the builder was contacted %d times", n)
	}
}
