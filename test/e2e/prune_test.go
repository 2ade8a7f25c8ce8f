package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// pruneScene has a template on a plain git server, and no forge. The lines are part of its
// Dockerfile.
func pruneScene(
	t *testing.T, flavour parts.Flavour, lines ...string,
) (s *scene, push func() string) {
	t.Helper()
	host := engine(t, flavour).Host()
	server := partstest.GitHTTP(t)
	if err := server.CreateRepo(t.Context(), "t-"+runtime, ""); err != nil {
		t.Fatal(err)
	}
	s = &scene{engine: partstest.Proxy(t, host), docker: dockerClient(t, host)}
	s.user = newUser(t).with("DOCKER_HOST", s.engine.URL(), "MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX",
		server.URL()+"/t-")
	return s, func() string {
		t.Helper()
		unique := fmt.Sprintf("%s %d", t.Name(), scenes.Add(1))
		sha, err := server.Push(t.Context(), "t-"+runtime,
			parts.Commit{Message: unique,
				Files: busybox(t, slices.Concat([]string{"RUN echo " + unique + " > /word"},
					lines, []string{"CMD cat /word"})...)})
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
}

// stopped makes a container that has ended, and returns its name.
func (s *scene) stopped(t *testing.T, image string) string {
	t.Helper()
	name := fmt.Sprintf("pinion-prune-%d", scenes.Add(1))
	made, err := s.docker.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name, Config: &container.Config{Image: image},
		HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.docker.ContainerRemove(context.WithoutCancel(t.Context()), made.ID,
			client.ContainerRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
	wait := s.docker.ContainerWait(t.Context(), made.ID,
		client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := s.docker.ContainerStart(t.Context(), made.ID,
		client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-wait.Error:
		t.Fatal(err)
	case <-wait.Result:
	}
	return name
}

// tidy removes a name after the test.
func (s *scene) tidy(t *testing.T, ref string) {
	t.Cleanup(func() {
		if _, err := s.docker.ImageRemove(context.WithoutCancel(t.Context()), ref,
			client.ImageRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
}

func (s *scene) prune(t *testing.T, opts pinion.PruneOptions) pinion.PruneReport {
	t.Helper()
	report, err := s.open(t).Prune(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// wantPruned compares the actions on references. References that want lacks must not be in the
// report.
func wantPruned(t *testing.T, report pinion.PruneReport, want map[string]pinion.PruneAction) {
	t.Helper()
	got := map[string]pinion.PruneAction{}
	for _, i := range report.Items {
		got[i.Reference] = i.Action
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v\n%+v", got, want, report.Items)
	}
}

// leftBehind builds an image whose temporary name stays, as it does when the client is killed.
func (s *scene) leftBehind(t *testing.T) (img pinion.Image, temporary string) {
	t.Helper()
	s.engine.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodDelete || !strings.Contains(r.URL.Path, ":unverified-") {
			return false
		}
		_, temporary, _ = strings.Cut(r.URL.Path, "/images/")
		http.Error(w, `{"message":"not now"}`, http.StatusInternalServerError)
		return true
	})
	img = s.ensure(t, pinion.OutcomeBuilt)
	s.engine.SetHook(nil)
	if s.id(t, temporary) != img.ID {
		t.Fatalf("%q is not left behind", temporary)
	}
	return img, temporary
}

func TestPrune(t *testing.T) {
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			s, push := pruneScene(t, flavour)
			build := func() pinion.Image { push(); return s.ensure(t, pinion.OutcomeBuilt) }
			used := build()
			name := s.stopped(t, used.Reference)
			old, shared := build(), build()
			s.tag(t, shared.ID, "somebody/else:1")
			s.tidy(t, "somebody/else:1")
			moved := build()
			s.foreign(t, storetest.Spec{Tag: moved.Reference, Content: t.Name() + " moved"})
			s.tidy(t, moved.Reference)
			gone := build()
			s.remove(t, gone.ID, true)
			second := build()
			push()
			newest, temporary := s.leftBehind(t)

			// Neither the name nor the labels make an image ours.
			foreign := "molecule-local/workspace-template-" + runtime + ":mine"
			s.foreign(t, storetest.Spec{Tag: foreign, Content: t.Name(),
				Labels: s.labels(t, old.ID)})
			s.tidy(t, foreign)
			movedTo, latest := s.id(t, moved.Reference),
				"molecule-local/workspace-template-"+runtime+":latest"
			want := map[string]pinion.PruneAction{
				used.Reference: pinion.PruneKept, old.Reference: pinion.PruneRemoved,
				shared.Reference: pinion.PruneRemoved,
				moved.Reference:  pinion.PruneKept, gone.Reference: pinion.PruneForgotten,
				second.Reference: pinion.PruneKept, newest.Reference: pinion.PruneKept,
				temporary: pinion.PruneRemoved,
			}

			before := s.tags(t, runtime)
			dry := s.prune(t, pinion.PruneOptions{DryRun: true})
			wantPruned(t, dry, want)
			if after := s.tags(t, runtime); len(after) != len(before) {
				t.Errorf("a dry run left %q of %q", after, before)
			}
			wantRecords(t, s, 7)

			done := s.prune(t, pinion.PruneOptions{})
			wantPruned(t, done, want)
			for _, i := range done.Items {
				if i.Reference == used.Reference && !strings.Contains(i.Reason, name) {
					t.Errorf("the used one is kept because %q", i.Reason)
				}
			}
			if done.Reclaimed <= 0 || done.Reclaimed != dry.Reclaimed ||
				done.Remaining != dry.Remaining {
				t.Errorf("reclaimed %d, the dry run said %d; remaining %d, %d", done.Reclaimed,
					dry.Reclaimed, done.Remaining, dry.Remaining)
			}
			wantRecords(t, s, 4)
			for ref, id := range map[string]string{
				used.Reference: used.ID, old.Reference: "", old.ID: "", shared.Reference: "",
				shared.ID: shared.ID, "somebody/else:1": shared.ID,
				moved.Reference: movedTo, second.Reference: second.ID, newest.Reference: newest.ID,
				temporary: "", latest: newest.ID,
			} {
				if got := s.id(t, ref); got != id {
					t.Errorf("%s is %q, not %q", ref, got, id)
				}
			}
			if s.id(t, foreign) == "" {
				t.Errorf("%s is gone", foreign)
			}

			out := s.run(t, "prune", "--dry-run", "--keep", "1").stdout
			for _, word := range []string{"remove", second.Revision.String()[:12],
				"the container " + name + " uses it", "Would reclaim"} {
				if !strings.Contains(out, word) {
					t.Errorf("the command does not say %q:\n%s", word, out)
				}
			}

			// The newest stays under any bound, and the used one because of its container.
			bounded := s.prune(t, pinion.PruneOptions{MaxSize: 1})
			wantPruned(t, bounded, map[string]pinion.PruneAction{
				used.Reference: pinion.PruneKept, moved.Reference: pinion.PruneKept,
				second.Reference: pinion.PruneRemoved, newest.Reference: pinion.PruneKept,
			})
			if img := s.ensure(t, pinion.OutcomeHit); img.ID != newest.ID {
				t.Errorf("got %+v", img)
			}
			usage, err := s.open(t).DiskUsage(t.Context())
			if err != nil || len(usage.Templates) != 1 || usage.Templates[0].Images != 2 ||
				usage.Templates[0].InUse != 1 || usage.Unverified != 0 || usage.Size <= 0 {
				t.Errorf("usage %+v, %v", usage, err)
			}
		})
	}
}

// TestPruneWhatTheEngineRefuses has a container made after the engine was asked for those.
func TestPruneWhatTheEngineRefuses(t *testing.T) {
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			s, push := pruneScene(t, flavour)
			push()
			old := s.ensure(t, pinion.OutcomeBuilt)
			push()
			newest := s.ensure(t, pinion.OutcomeBuilt)
			latest := "molecule-local/workspace-template-" + runtime + ":latest"
			s.tag(t, old.ID, latest) // by hand
			s.stopped(t, old.Reference)
			s.engine.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/containers/json") {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintln(w, "[]")
				return true
			})
			report := s.prune(t, pinion.PruneOptions{Keep: 1})
			wantPruned(t, report, map[string]pinion.PruneAction{old.Reference: pinion.PruneKept,
				newest.Reference: pinion.PruneKept})
			for _, i := range report.Items {
				if i.Reference == old.Reference &&
					(!strings.Contains(i.Reason, "the engine refuses") || i.Refused) {
					t.Errorf("kept because %q; refused: %t", i.Reason, i.Refused)
				}
			}
			for _, ref := range []string{old.Reference, latest} {
				if got := s.id(t, ref); got != old.ID {
					t.Errorf("%s is %q, not %s", ref, got, old.ID)
				}
			}
			wantRecords(t, s, 2)
		})
	}
}

// TestPruneIsKilled ends the command at each step; the next one finishes the work.
func TestPruneIsKilled(t *testing.T) {
	s, push := pruneScene(t, parts.Docker29Classic)
	latest := "molecule-local/workspace-template-" + runtime + ":latest"
	for _, c := range []struct {
		name   string
		method string
		path   func(old pinion.Image) string
		want   pinion.PruneAction // of the next call
	}{
		{"before latest", http.MethodDelete, func(pinion.Image) string {
			return latest
		}, pinion.PruneRemoved},
		{"before the pinned name", http.MethodDelete, func(old pinion.Image) string {
			return old.Reference
		}, pinion.PruneRemoved},
		{"before the record", http.MethodGet, func(old pinion.Image) string {
			return old.ID
		}, pinion.PruneForgotten},
	} {
		t.Run(c.name, func(t *testing.T) {
			push()
			old := s.ensure(t, pinion.OutcomeBuilt)
			push()
			newest := s.ensure(t, pinion.OutcomeBuilt)
			s.tag(t, old.ID, latest)
			arrived, killed := make(chan struct{}), make(chan struct{})
			s.engine.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method != c.method || !strings.Contains(r.URL.Path, "/images/"+c.path(old)) {
					return false
				}
				close(arrived)
				<-killed
				return true
			})
			victim := s.start(t, "prune", "--keep", "1")
			receive(t, "the request", arrived)
			victim.kill()
			close(killed)
			s.engine.SetHook(nil)
			if c.want == pinion.PruneRemoved {
				if id := s.id(t, old.Reference); id != old.ID {
					t.Errorf("half done: %s is %q", old.Reference, id)
				}
			}
			report := s.prune(t, pinion.PruneOptions{Keep: 1})
			got := map[string]pinion.PruneAction{}
			for _, i := range report.Items {
				got[i.Reference] = i.Action
			}
			if got[old.Reference] != c.want || got[newest.Reference] != pinion.PruneKept {
				t.Errorf("got %v", got)
			}
			if s.id(t, old.ID) != "" || s.id(t, newest.Reference) != newest.ID {
				t.Errorf("old is %q, newest %q", s.id(t, old.ID), s.id(t, newest.Reference))
			}
			wantRecords(t, s, 1)
			s.ensure(t, pinion.OutcomeHit)
		})
	}
}

// TestPruneOfALayout: in a folder, the sums are what its files take.
func TestPruneOfALayout(t *testing.T) {
	onCells(t, []cell{containerdStandalone}, func(t *testing.T, c cell) {
		l := newLayout(t, c)
		size := func() (all int64) {
			for _, n := range l.blobs(t) {
				all += n
			}
			return all
		}
		tmpl, _ := l.prepare(t, "RUN echo one > /word")
		l.succeed(t, "ensure", runtime)
		tmpl.busybox(t, "RUN echo two > /word")
		l.succeed(t, "ensure", runtime)
		before := size()
		var u pinion.DiskUsage
		decode(t, l.succeed(t, "du", "--format", "json").stdout, &u)
		if u.Size != before {
			t.Errorf("du says %d bytes, and the files take %d", u.Size, before)
		}
		report := resetReport(t, l.succeed(t, "prune", "--keep", "1", "--format", "json"))
		if after := size(); report.Reclaimed != before-after || report.Remaining != after ||
			report.Reclaimed == 0 || report.Reclaimed > before/2 {
			t.Errorf("%d reclaimed and %d remaining: the files took %d and take %d",
				report.Reclaimed, report.Remaining, before, after)
		}
	})
}
