package pinion

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// pullWorld is a world whose claude-code allows pull requests by these rules.
func pullWorld(t *testing.T, rules string, opts ...Option) *world {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "templates:\n- {name: claude-code, pull_requests: " + rules + "}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return newWorld(t, append([]Option{WithConfig(file)}, opts...)...)
}

// TestFault69_APullRequestAtTheCommitOfABranch: both have the same commit, and neither has anything
// of the other: image, name, record, latest, place among what is kept.
func TestFault69_APullRequestAtTheCommitOfABranch(t *testing.T) {
	w := pullWorld(t, "{}")
	const name = "molecule-local/workspace-template-claude-code:pr-7-aaaaaaaaaaaa"
	branch := w.ensure(t)
	tags := maps.Clone(w.store.References())
	pull := w.ensure(t, AtPullRequest(7))
	if pull.Outcome != OutcomeBuilt || pull.Reference != name || pull.ID == branch.ID ||
		pull.Revision != branch.Revision || pull.PullRequest != 7 || pull.Reason == "" {
		t.Errorf("%+v", pull)
	}
	tags[name] = pull.ID
	if got := w.store.References(); !maps.Equal(got, tags) {
		t.Errorf("the names are %v, not %v", got, tags)
	}
	if hit := w.ensure(t, AtPullRequest(7)); hit.Outcome != OutcomeHit || hit.ID != pull.ID ||
		hit.PullRequest != 7 {
		t.Errorf("%+v", hit)
	}
	if hit := w.ensure(t); hit.Outcome != OutcomeHit || hit.ID != branch.ID ||
		hit.PullRequest != 0 {
		t.Errorf("%+v", hit)
	}
	if other := w.ensure(t, AtPullRequest(8)); other.Outcome != OutcomeBuilt {
		t.Errorf("%+v", other)
	}
	// A branch never finds its image by that of a pull request, nor under its name.
	delete(w.store.Tags, branch.Reference)
	delete(w.store.Tags, latestOf)
	delete(w.store.Images, branch.ID)
	if again := w.ensure(t); again.Outcome != OutcomeBuilt || again.ID != branch.ID {
		t.Errorf("%+v", again)
	}
	if w.store.References()[latestOf] != branch.ID {
		t.Errorf("the names are %v", w.store.References())
	}
	if w.recorded(t) != 3 {
		t.Errorf("%d records", w.recorded(t))
	}
	list, err := w.List(t.Context())
	if err != nil || len(list) != 3 || list[1].PullRequest+list[2].PullRequest == 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestFault72_WhatAPullRequestGets: neither registry credentials nor the cache mounts of others,
// unless the catalogue gives it the credentials.
func TestFault72_WhatAPullRequestGets(t *testing.T) {
	for rules, anonymous := range map[string]bool{"{}": true, "{from: [anyone]}": true,
		"{credentials: true}": false} {
		w := pullWorld(t, rules)
		w.ensure(t)
		w.ensure(t, AtPullRequest(7))
		w.ensure(t, AtPullRequest(8))
		w.ensure(t, AtPullRequest(7), Label("a", "b"))
		b := w.builder.built
		if b[0].Anonymous || b[0].CacheScope != "" {
			t.Errorf("%s: a branch gets %+v", rules, b[0])
		}
		for _, req := range b[1:] {
			if req.Anonymous != anonymous || !strings.HasPrefix(req.CacheScope, "pull-") {
				t.Errorf("%s: %t, %s", rules, req.Anonymous, req.CacheScope)
			}
		}
		if b[1].CacheScope == b[2].CacheScope || b[1].CacheScope != b[3].CacheScope {
			t.Errorf("%s: the scopes are %s, %s, %s", rules, b[1].CacheScope, b[2].CacheScope,
				b[3].CacheScope)
		}
	}
}

// TestFault70_NoCacheOfAPullRequestIsSaved: it reads that of the branch, and writes none.
func TestFault70_NoCacheOfAPullRequestIsSaved(t *testing.T) {
	var lines []string
	for what, c := range map[string]struct {
		opts  []EnsureOption
		saves bool
	}{"a branch": {nil, true}, "a pull request": {[]EnsureOption{AtPullRequest(7)}, false}} {
		w := pullWorld(t, "{}", WithBuildCache("registry:registry.example/cache"))
		saved := 0
		w.builder.graph = &pb.Definition{Def: [][]byte{{1}}}
		w.builder.save = func(context.Context, buildkit.CacheSave) (ocispecs.Descriptor, error) {
			saved++
			return ocispecs.Descriptor{}, nil
		}
		w.ensure(t, c.opts...)
		if err := w.Close(t.Context()); err != nil || (saved > 0) != c.saves {
			t.Errorf("of %s %d are saved, %v", what, saved, err)
		}
		var read []string
		for _, e := range w.builder.built[0].CacheImports {
			read = append(read, e.Attrs["ref"])
		}
		if len(read) == 0 || lines != nil && !slices.Equal(read, lines) {
			t.Errorf("%s reads %q, and another %q", what, read, lines)
		}
		lines = read
	}
}

func TestPullRequestsThatAreRefused(t *testing.T) {
	w := pullWorld(t, "{}")
	for what, c := range map[string]struct {
		name string
		opts []EnsureOption
		kind error
		text string
	}{
		"not allowed": {"hermes", []EnsureOption{AtPullRequest(7)}, ErrInvalidInput,
			"does not allow pull requests of hermes"},
		"no number":  {"claude-code", []EnsureOption{AtPullRequest(0)}, ErrInvalidInput, "from 1"},
		"a negative": {"claude-code", []EnsureOption{AtPullRequest(-7)}, ErrInvalidInput, "from 1"},
		"a tree": {"claude-code", []EnsureOption{AtPullRequest(7), AtPath(".")}, ErrInvalidInput,
			"one of them"},
		"any commit": {"claude-code", []EnsureOption{AtPullRequest(7),
			AtRevision(revision(t, shaB), true)}, ErrInvalidInput, "is its head"},
		"another commit": {"claude-code", []EnsureOption{AtPullRequest(7),
			AtRevision(revision(t, shaB), false)}, ErrNotOnBranch, "pull request 7 is " + shaA},
		"a cache": {"claude-code", []EnsureOption{AtPullRequest(7), CacheTo("r.example/c")},
			ErrInvalidInput, "not saved"},
	} {
		_, err := w.Ensure(t.Context(), c.name, c.opts...)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := w.builder.solves(); n != 0 {
		t.Errorf("%d were built", n)
	}
	img := w.ensure(t, AtPullRequest(7), AtRevision(revision(t, shaA), false))
	if img.Outcome != OutcomeBuilt || !img.SupersededBy.IsZero() {
		t.Errorf("%+v", img)
	}
	if rules, ok := w.PullRequests("claude-code"); !ok || rules.Keep != 1 {
		t.Errorf("%+v, %t", rules, ok)
	}
	if _, ok := w.PullRequests("hermes"); ok {
		t.Error("pull requests of hermes are built")
	}
	var allowed []string
	for _, r := range w.Templates() {
		if r.PullRequests {
			allowed = append(allowed, r.Name)
		}
	}
	if strings.Join(allowed, " ") != "claude-code" {
		t.Errorf("pull requests of %v are built", allowed)
	}
	r := registryWorld(t)
	if _, err := r.Ensure(t.Context(), "claude-code", AtPullRequest(7)); !errors.Is(err,
		ErrInvalidInput) || !strings.Contains(err.Error(), resolver.RegistryEnv) {
		t.Errorf("in registry mode: %v", err)
	}
}

// TestPullRequestMovesOn: the receipt says if the head has moved during the build.
func TestPullRequestMovesOn(t *testing.T) {
	w := pullWorld(t, "{}")
	w.heads.moved = shaB
	c, err := w.Start(t.Context(), "claude-code", AtPullRequest(7))
	if err != nil {
		t.Fatal(err)
	}
	img, err := c.Wait(t.Context())
	if s := c.Build().Status(); err != nil || img.SupersededBy.String() != shaB ||
		s.PullRequest != 7 || s.Pinned {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestClosedPullRequestIsPruned(t *testing.T) {
	w := pullWorld(t, "{keep: 5}")
	branch, pull := w.ensure(t), w.ensure(t, AtPullRequest(7))
	other := w.ensure(t, AtPullRequest(70))
	if u, err := w.DiskUsage(t.Context()); err != nil || len(u.Templates) != 3 ||
		u.Templates[1].PullRequest != 7 || u.Reclaimable != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	if err := w.ClosePullRequest(t.Context(), "claude-code", 7); err != nil {
		t.Fatal(err)
	}
	report, err := w.Prune(t.Context(), PruneOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantItem(t, report, pull.Reference, PruneRemoved)
	wantItem(t, report, branch.Reference, PruneKept)
	wantItem(t, report, other.Reference, PruneKept)
	if err := w.ClosePullRequest(t.Context(), "unknown", 7); !errors.Is(err, ErrUnknownTemplate) {
		t.Errorf("%v", err)
	}
}
