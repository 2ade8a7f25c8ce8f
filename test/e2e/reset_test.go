package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// resetReport is what `pinion reset --format json` prints.
func resetReport(t *testing.T, got result) (report pinion.PruneReport) {
	t.Helper()
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v:\n%s", err, got.stdout)
	}
	return report
}

// TestReset: everything goes but the image of a container and what is not Pinion's, also an image
// that has lost its name.
func TestReset(t *testing.T) {
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			s, push := pruneScene(t, flavour)
			build := func() pinion.Image { push(); return s.ensure(t, pinion.OutcomeBuilt) }
			used, old := build(), build()
			s.stopped(t, used.ID)
			moved := build()
			s.foreign(t, storetest.Spec{Tag: moved.Reference, Content: t.Name() + " moved"})
			s.tidy(t, moved.Reference)
			push()
			newest, temporary := s.leftBehind(t)
			foreign := "molecule-local/workspace-template-" + runtime + ":mine"
			s.foreign(t, storetest.Spec{Tag: foreign, Content: t.Name(),
				Labels: s.labels(t, old.ID)})
			s.tidy(t, foreign)
			movedTo := s.id(t, moved.Reference)
			want := map[string]pinion.PruneAction{
				used.Reference: pinion.PruneKept, old.Reference: pinion.PruneRemoved,
				moved.Reference:  pinion.PruneRemoved,
				newest.Reference: pinion.PruneRemoved, temporary: pinion.PruneRemoved,
			}

			s.fail(t, 64, []string{"--yes"}, "reset")
			dry := resetReport(t, s.succeed(t, "reset", "--dry-run", "--format", "json"))
			wantPruned(t, dry, want)
			wantRecords(t, s, 4)
			wantPruned(t, resetReport(t, s.succeed(t, "reset", "-f", "codex", "--format", "json")),
				map[string]pinion.PruneAction{})
			done := resetReport(t, s.succeed(t, "reset", "--yes", runtime, "--format", "json"))
			wantPruned(t, done, want)
			if done.Reclaimed <= 0 || done.Reclaimed != dry.Reclaimed {
				t.Errorf("reclaimed %d, the dry run said %d", done.Reclaimed, dry.Reclaimed)
			}
			for ref, id := range map[string]string{
				used.Reference: used.ID, old.Reference: "", old.ID: "", moved.ID: "",
				moved.Reference: movedTo, newest.Reference: "", newest.ID: "", temporary: "",
				"molecule-local/workspace-template-" + runtime + ":latest": "",
			} {
				if got := s.id(t, ref); got != id {
					t.Errorf("%s is %q, not %q", ref, got, id)
				}
			}
			if s.id(t, foreign) == "" {
				t.Errorf("%s is gone", foreign)
			}
			wantRecords(t, s, 1)
			if again := s.ensure(t, pinion.OutcomeBuilt); again.Revision != newest.Revision {
				t.Errorf("after the reset: %+v", again)
			}
		})
	}
}

// TestResetOfALayout leaves an empty layout, and neither records nor saved build caches.
func TestResetOfALayout(t *testing.T) {
	onCells(t, []cell{containerdStandalone}, func(t *testing.T, c cell) {
		l := newLayout(t, c)
		tmpl, _ := l.prepare(t, "RUN echo one > /word")
		l.succeed(t, "ensure", runtime) // it waits until the build cache is saved
		tmpl.busybox(t, "RUN echo two > /word")
		l.succeed(t, "ensure", runtime)
		report := resetReport(t, l.succeed(t, "reset", "--yes", "--format", "json"))
		if len(report.Items) != 2 || report.Remaining != 0 ||
			len(report.BuildCache.Removed) == 0 || report.BuildCache.Remaining != 0 {
			t.Errorf("did %+v", report)
		}
		if names, blobs := l.names(t), l.blobs(t); len(names) != 0 || len(blobs) != 0 {
			t.Errorf("left are %v, %v", names, blobs)
		}
		for _, kind := range []string{"records", "buildkit"} {
			left, err := os.ReadDir(filepath.Join(l.env["MOLECULE_LOCAL_BUILD_CACHE"], kind))
			if err != nil || len(left) > 0 {
				t.Errorf("%s: %v, %v", kind, left, err)
			}
		}
		l.ensure(t, pinion.OutcomeBuilt)
	})
}

// unnamed returns an image without a name that somebody made from one of Pinion's. It has inherited
// the labels.
func (s *scene) unnamed(t *testing.T, from string) string {
	t.Helper()
	made, err := s.docker.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Config: &container.Config{Image: from}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.removeContainer(t, made.ID)
	img, err := s.docker.ContainerCommit(t.Context(), made.ID, client.ContainerCommitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = s.docker.ImageRemove(context.WithoutCancel(t.Context()), img.ID,
			client.ImageRemoveOptions{PruneChildren: true}) // the test has checked it
	})
	return img.ID
}

// TestResetLegacy: what the platform's earlier build left goes, and an image that a build of the
// same commit has replaced; what somebody made from it stays, and so do Pinion's own.
func TestResetLegacy(t *testing.T) {
	partstest.OnSomeDays(t)
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			s, push := pruneScene(t, flavour, "RUN head -c 64 /dev/urandom > /word")
			push()
			replaced := s.ensure(t, pinion.OutcomeBuilt)
			s.succeed(t, "ensure", "--no-cache", runtime)
			now := s.ensure(t, pinion.OutcomeHit)
			mine := s.unnamed(t, now.ID)
			if now.ID == replaced.ID || s.id(t, replaced.ID) == "" {
				t.Fatalf("%s is not replaced by %s", replaced.ID, now.ID)
			}
			earlier := "molecule-local/workspace-template-codex:0123456789ab"
			s.foreign(t, storetest.Spec{Tag: earlier, Content: t.Name()})
			tagged := "molecule-local/workspace-template-codex:mine"
			s.tag(t, s.id(t, earlier), tagged)
			s.tidy(t, tagged)
			commit := push()
			clone := filepath.Join(s.env["MOLECULE_LOCAL_BUILD_CACHE"], runtime, commit[:12])
			gitClone(t, s.env["MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX"]+runtime, clone)

			if out := s.run(t, "doctor").stdout; !strings.Contains(out,
				"earlier tools left ") || !strings.Contains(out, "reset --legacy") {
				t.Errorf("doctor says\n%s", out)
			}
			for _, dry := range []bool{true, false} {
				args := []string{"reset", "--legacy", "--yes", "--format", "json"}
				if dry {
					args = append(args, "--dry-run")
				}
				report := resetReport(t, s.succeed(t, args...))
				// Other tests may have left images on the engine.
				if len(report.Items) < 2 || len(report.Clones) != 1 ||
					report.Clones[0].Path != clone {
					t.Errorf("dry run %v: %+v", dry, report)
				}
				for ref, there := range map[string]bool{
					replaced.ID: dry, earlier: dry, tagged: true, now.ID: true, mine: true,
					now.Reference: true,
				} {
					if got := s.id(t, ref); (got != "") != there {
						t.Errorf("dry run %v: %s is %q", dry, ref, got)
					}
				}
				if _, err := os.Stat(clone); (err == nil) != dry {
					t.Errorf("dry run %v: the clone: %v", dry, err)
				}
			}
			wantRecords(t, s, 1)
		})
	}
}

// gitClone clones as the platform's earlier build does.
func gitClone(t *testing.T, url, to string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "clone", "--quiet", "--depth", "1", url+".git",
		to)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
}
