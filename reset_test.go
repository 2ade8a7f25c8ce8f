package pinion

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

func (w *world) reset(t *testing.T, opts ResetOptions) PruneReport {
	t.Helper()
	report, err := w.Reset(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestReset(t *testing.T) {
	w, _ := savingWorld(t)
	images := w.commits(t, 3)
	other, err := w.Ensure(t.Context(), "hermes")
	if err != nil {
		t.Fatal(err)
	}
	w.close(t)
	dry := w.reset(t, ResetOptions{Names: []string{"claude-code"}, DryRun: true})
	if len(w.store.Images) != 4 || w.recorded(t) != 4 {
		t.Errorf("a dry run left %v", w.store.References())
	}
	report := w.reset(t, ResetOptions{Names: []string{"claude-code"}})
	for _, img := range images {
		wantItem(t, report, img.Reference, PruneRemoved, "all images of its template")
	}
	// The cache of a commit is not saved if a newer one is waiting.
	if len(report.Items) != 3 || len(report.BuildCache.Removed) == 0 ||
		len(report.BuildCache.Kept) != 1 || report.Remaining != 42 {
		t.Errorf("did %+v", report)
	}
	dry.DryRun = false
	if fmt.Sprint(dry) != fmt.Sprint(report) {
		t.Errorf("the dry run said %+v, it was %+v", dry, report)
	}
	if len(w.store.Images) != 1 || w.recorded(t) != 1 || len(w.store.References()) != 2 {
		t.Errorf("left are %v", w.store.References())
	}
	wantItem(t, w.reset(t, ResetOptions{}), other.Reference, PruneRemoved)
	if usage, err := w.DiskUsage(t.Context()); err != nil || usage.BuildCache != 0 ||
		len(w.store.References()) != 0 || w.recorded(t) != 0 {
		t.Errorf("left are %v, %+v, %v", w.store.References(), usage, err)
	}
	if again := w.ensure(t); again.Outcome != OutcomeBuilt {
		t.Errorf("after the reset: %+v", again)
	}
	w.close(t)
}

// TestResetForgetsWhatIsAway: only on request, since the store may return.
func TestResetForgetsWhatIsAway(t *testing.T) {
	w := newWorld(t)
	img := w.ensure(t)
	w.store.ID = "another engine"
	w.store.Images, w.store.Tags = map[string]imagestore.Image{}, map[string]string{}
	wantItem(t, w.reset(t, ResetOptions{}), img.Reference, PruneKept, "away")
	dry := w.reset(t, ResetOptions{ForgetAway: true, DryRun: true})
	wantItem(t, dry, img.Reference, PruneForgotten)
	if n := w.recorded(t); n != 1 {
		t.Errorf("%d records", n)
	}
	wantItem(t, w.reset(t, ResetOptions{ForgetAway: true}), img.Reference, PruneForgotten)
	if n := w.recorded(t); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

// TestResetOfANameThatLeftTheCatalogue: its record is enough. Any other name is refused.
func TestResetOfANameThatLeftTheCatalogue(t *testing.T) {
	config := emptyConfig(t)
	entry := "templates: [{name: mine, repo: https://git.example.com/me/mine}]\n"
	if err := os.WriteFile(config, []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, WithConfig(config))
	img, err := w.Ensure(t.Context(), "mine")
	if err != nil {
		t.Fatal(err)
	}
	o, err := New(WithCacheDir(w.settings.cachePath()), WithConfig(emptyConfig(t)))
	if err != nil {
		t.Fatal(err)
	}
	w.attach(o)
	_, err = o.Reset(t.Context(), ResetOptions{Names: []string{"mine", "nobodys"}})
	if typed, ok := errors.AsType[*Error](err); !ok || typed.Name != "nobodys" ||
		!errors.Is(err, ErrUnknownTemplate) || len(w.store.References()) != 2 {
		t.Errorf("%v, left are %v", err, w.store.References())
	}
	report, err := o.Reset(t.Context(), ResetOptions{Names: []string{"mine"}})
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, report, img.Reference, PruneRemoved)
}
