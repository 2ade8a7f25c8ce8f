package retention_test

import (
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
)

const pulled = "claude-code"

// pull builds the head of a pull request at a commit.
func (w *world) pull(t *testing.T, number, commit int) cache.Record {
	t.Helper()
	rec := w.build(t, pulled, w.recipe(t, pulled, commit).OfPullRequest(number))
	delete(w.store.Tags, "")
	verify.MarkBuilt(w.dir, rec, true)
	return rec
}

// withRule returns the configuration with a rule for pull requests.
func (w *world) withRule(t *testing.T, r retention.PullRule) retention.Config {
	c := w.config()
	from := w.recipe(t, pulled, 1).Source()
	c.Current = map[recipe.Source]bool{from: true}
	c.Pulls = map[recipe.Source]retention.PullRule{from: r}
	return c
}

// TestPullRequestsStayByTheirOwnRule: neither do they count among the images of the branch, nor
// does the number of these hold for them.
func TestPullRequestsStayByTheirOwnRule(t *testing.T) {
	w, branch := newCommits(t, 3)
	for _, rec := range branch {
		verify.MarkBuilt(w.dir, rec, true)
	}
	older, newer, other := w.pull(t, 7, 3), w.pull(t, 7, 4), w.pull(t, 8, 4)
	c := w.withRule(t, retention.PullRule{Keep: 1, MaxAge: time.Hour})
	s, err := retention.Look(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if u := s.Usage(2); len(u.Families) != 3 || u.Reclaimable != 2*42 ||
		u.Families[0].PullRequest != 8 || u.Families[2].PullRequest != 0 {
		t.Errorf("%+v", u)
	}
	report := prune(t, c, retention.Policy{Keep: 2, Now: w.now})
	wantItem(t, report, branch[0].Reference, retention.Removed, "newest 2 of its template")
	wantItem(t, report, branch[1].Reference, retention.Kept)
	wantItem(t, report, branch[2].Reference, retention.Kept)
	wantItem(t, report, older.Reference, retention.Removed, "newest 1 of pull request 7")
	wantItem(t, report, newer.Reference, retention.Kept, "pull request 7")
	wantItem(t, report, other.Reference, retention.Kept, "pull request 8")
	if w.store.Tags[latest] != branch[2].ImageID {
		t.Errorf("latest is %s", w.store.Tags[latest])
	}
	report = prune(t, c, retention.Policy{Keep: 2, Now: w.now.Add(2 * time.Hour)})
	wantItem(t, report, newer.Reference, retention.Removed, "longer than 1h0m0s ago")
	wantItem(t, report, branch[2].Reference, retention.Kept)
}

// TestClosedPullRequest: its images go, unless one is used or was handed out since.
func TestClosedPullRequest(t *testing.T) {
	w, branch := newCommits(t, 1)
	closed, used, open := w.pull(t, 7, 1), w.pull(t, 7, 2), w.pull(t, 8, 1)
	w.store.Containers = []imagestore.Use{{Container: "web", Images: []string{used.ImageID}}}
	c := w.withRule(t, retention.PullRule{Keep: 3})
	from := w.recipe(t, pulled, 1).Source()
	closeIt := func() {
		t.Helper()
		if err := retention.ClosePull(w.dir, from, 7); err != nil {
			t.Fatal(err)
		}
	}
	closeIt()
	verify.MarkBuilt(w.dir, used, true) // handed out again
	if report := prune(t, c, retention.Policy{Keep: 2}); report.Reclaimed != 0 {
		t.Errorf("%+v", report)
	}
	closeIt()
	report := prune(t, c, retention.Policy{Keep: 2})
	wantItem(t, report, closed.Reference, retention.Removed, "pull request 7 is closed")
	wantItem(t, report, used.Reference, retention.Kept, "web")
	wantItem(t, report, open.Reference, retention.Kept)
	wantItem(t, report, branch[0].Reference, retention.Kept)
}

// TestPullRequestsOfNoTemplate: they go once the template builds none, but not because the config
// file is wrong.
func TestPullRequestsOfNoTemplate(t *testing.T) {
	w, _ := newCommits(t, 1)
	rec := w.pull(t, 7, 2)
	c := w.config()
	wantItem(t, prune(t, c, retention.Policy{Keep: 1}), rec.Reference, retention.Kept)
	c.Pulls = map[recipe.Source]retention.PullRule{}
	wantItem(t, prune(t, c, retention.Policy{Keep: 1}), rec.Reference, retention.Removed,
		"not built any more")
}

// TestPullRequestsGoFirst: where there is too much, no number of pull requests pushes out the image
// of a branch, and their newest go as well.
func TestPullRequestsGoFirst(t *testing.T) {
	w, branch := newCommits(t, 2)
	for n := range 5 {
		w.pull(t, n+1, 1)
	}
	c := w.withRule(t, retention.PullRule{Keep: 1})
	report := prune(t, c, retention.Policy{Keep: 2, MaxSize: 3 * 42})
	for _, rec := range branch {
		wantItem(t, report, rec.Reference, retention.Kept)
	}
	if report.Remaining != 3*42 {
		t.Errorf("%+v", report)
	}
	report = prune(t, c, retention.Policy{Keep: 2, MaxSize: 1})
	wantItem(t, report, branch[1].Reference, retention.Kept)
	if report.Remaining != 42 {
		t.Errorf("%+v", report)
	}
}
