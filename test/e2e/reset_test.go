package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
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
