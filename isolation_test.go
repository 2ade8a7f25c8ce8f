package pinion

import (
	"errors"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// TestIsolation: two tokens and no token, in one store and one cache folder, neither hit nor list
// nor prune what is not theirs.
func TestIsolation(t *testing.T) {
	w := newWorld(t)
	users := map[string]*Orchestrator{"": w.Orchestrator}
	for _, token := range []string{"one", "two"} {
		o, err := New(WithCacheDir(w.settings.cachePath()), WithConfig(emptyConfig(t)),
			WithIsolation(token))
		if err != nil {
			t.Fatal(err)
		}
		w.attach(o)
		users[token] = o
	}
	ids := map[string]string{}
	for range 2 {
		for token, o := range users {
			img, err := o.Ensure(t.Context(), "claude-code")
			if err != nil {
				t.Fatal(err)
			}
			if id, again := ids[token]; again != (img.Outcome == OutcomeHit) ||
				again && id != img.ID {
				t.Errorf("%q: %s is %s, before %q", token, img.ID, img.Outcome, id)
			}
			ids[token] = img.ID
			if token != "" && !strings.HasSuffix(img.Reference, "--"+token) {
				t.Errorf("%q has the name %s", token, img.Reference)
			}
			if res, err := o.Resolve(t.Context(), "claude-code"); err != nil ||
				res.Reference != img.Reference {
				t.Errorf("Resolve returns %s, %v", res.Reference, err)
			}
		}
	}
	// Whatever one of them may remove, it is not another one's.
	w.heads.sha = shaB
	if _, err := users["one"].Ensure(t.Context(), "claude-code"); err != nil {
		t.Fatal(err)
	}
	temporary := leftBehind(t, users["one"], w.store, ids["one"])
	for token, want := range map[string]int{"": 1, "one": 2, "two": 1} {
		list, err := users[token].List(t.Context())
		if err != nil || len(list) != want {
			t.Errorf("%q has %d images, %v", token, len(list), err)
		}
		usage, err := users[token].DiskUsage(t.Context())
		if err != nil || len(usage.Templates) != 1 || usage.Templates[0].Images != want ||
			usage.Unverified != want-1 {
			t.Errorf("%q uses %+v, %v", token, usage, err)
		}
	}
	report, err := users["one"].Prune(t.Context(), PruneOptions{Keep: 1})
	if err != nil || len(report.Items) != 3 {
		t.Errorf("prune: %+v, %v", report, err)
	}
	wantItem(t, report, "molecule-local/workspace-template-claude-code:aaaaaaaaaaaa--one",
		PruneRemoved)
	wantItem(t, report, temporary, PruneRemoved)
	if w.recorded(t) != 3 || w.store.References()[latestOf] != ids[""] {
		t.Errorf("left are %d records and %v", w.recorded(t), w.store.References())
	}
}

// leftBehind gives an image the temporary name of a build that was killed, and returns it.
func leftBehind(t *testing.T, o *Orchestrator, store fakeStore, id string) string {
	t.Helper()
	tmpl, err := o.current.Load().catalogue.Template("claude-code")
	if err != nil {
		t.Fatal(err)
	}
	rev, err := git.ParseRevision(shaA)
	if err != nil {
		t.Fatal(err)
	}
	name := o.recipe(tmpl, recipe.DefaultPlatform).At(rev).Temporary(o.owner)
	if err := store.Tag(t.Context(), id, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestIsolationTokens(t *testing.T) {
	for _, token := range []string{"Ups", "a--b", " a", strings.Repeat("a", 33)} {
		if _, err := New(WithIsolation(token)); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%q gives %v", token, err)
		}
	}
	for value, want := range map[string]string{" ": "", "job-7": "job-7"} {
		o, err := New(OptionsFromEnv(environment(map[string]string{EnvIsolation: value,
			"HOME": t.TempDir()})))
		if err != nil || o.settings.isolation != want {
			t.Errorf("%q gives %+v, %v", value, o, err)
		}
	}
}
