package pinion

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// emptyConfig keeps the developer's own config file out of a test.
func emptyConfig(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("templates: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const pinnedA = "molecule-local/workspace-template-claude-code:aaaaaaaaaaaa"

func TestEnsureBuildsOnceAndThenHits(t *testing.T) {
	for _, kind := range []imagestore.Kind{imagestore.KindClassic, imagestore.KindContainerd} {
		t.Run(string(kind), func(t *testing.T) {
			var log bytes.Buffer
			w := newWorld(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			w.store.Kind = kind
			first, second := w.ensure(t), w.ensure(t)
			if first.Outcome != OutcomeBuilt || second.Outcome != OutcomeHit {
				t.Errorf("outcomes %s, %s", first.Outcome, second.Outcome)
			}
			if first.Reference != pinnedA || second.Reference != pinnedA || first.ID != second.ID {
				t.Errorf("got %+v, then %+v", first, second)
			}
			if n := w.builder.solves(); n != 1 {
				t.Errorf("%d solves", n)
			}
			want := map[string]string{pinnedA: first.ID,
				"molecule-local/workspace-template-claude-code:latest": first.ID}
			if got := w.store.References(); len(got) != 2 || got[pinnedA] != want[pinnedA] {
				t.Errorf("tags are %v, want %v", got, want)
			}
			for _, line := range []string{
				"Provisioner: local-build mode → using locally-built image " + pinnedA +
					" for runtime claude-code",
				"local-build: solving " + first.Repository + "#aaaaaaaaaaaa",
				"local-build: build done in ",
			} {
				if !strings.Contains(log.String(), line) {
					t.Errorf("log lacks %q:\n%s", line, &log)
				}
			}
		})
	}
}

func TestHeadMovesAndComesBack(t *testing.T) {
	w := newWorld(t)
	a := w.ensure(t)
	w.heads.sha = shaB
	b := w.ensure(t)
	if b.Outcome != OutcomeBuilt || b.Revision.String() != shaB || b.ID == a.ID {
		t.Errorf("after the move: %+v", b)
	}
	w.heads.sha = shaA
	if again := w.ensure(t); again.Outcome != OutcomeHit || again.ID != a.ID {
		t.Errorf("after the way back: %+v", again)
	}
}

func TestUnknownNameTouchesNothing(t *testing.T) {
	w := newWorld(t)
	w.Orchestrator.store = func() (imagestore.Store, error) { panic("store opened") }
	_, err := w.Ensure(t.Context(), "no-such")
	var e *Error
	if !errors.Is(err, ErrUnknownTemplate) || !errors.As(err, &e) || e.Origin != OriginCatalogue ||
		w.heads.asked != 0 {
		t.Errorf("error %v, %d questions", err, w.heads.asked)
	}
}

func TestGitFailureIsNeverAHit(t *testing.T) {
	for _, kind := range []error{ErrNotFound, ErrUnauthorized, ErrUnavailable, ErrInvalidAnswer} {
		w := newWorld(t)
		w.ensure(t)
		w.heads.err = &resolver.Error{Op: "look up", Err: kind}
		_, err := w.Ensure(t.Context(), "claude-code")
		var e *Error
		if !errors.Is(err, kind) || !errors.As(err, &e) || e.Origin != OriginGit {
			t.Errorf("error is %v, want %v from the git server", err, kind)
		}
	}
}

func TestFault28_HeadMovesWhileBuilding(t *testing.T) {
	w := newWorld(t)
	w.heads.moved = shaB
	img := w.ensure(t)
	if img.Revision.String() != shaA || img.SupersededBy.String() != shaB {
		t.Errorf("built %s, superseded by %s", img.Revision, img.SupersededBy)
	}
}

func TestFault33_AHitNeedsAccessToTheRepository(t *testing.T) {
	w := newWorld(t)
	w.ensure(t)
	w.heads.err = &resolver.Error{Op: "look up", Err: ErrUnauthorized}
	if _, err := w.Ensure(t.Context(), "claude-code"); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("error is %v", err)
	}
}

func TestFault34_AnImageThatOnlyLooksLikeOurs(t *testing.T) {
	foreign := imagestore.Image{ID: "sha256:foreign", Platform: "linux/amd64"}
	t.Run("no record", func(t *testing.T) {
		w := newWorld(t)
		w.store.Put(foreign, pinnedA)
		if img := w.ensure(t); img.Outcome != OutcomeBuilt || img.ID == foreign.ID ||
			!strings.HasPrefix(img.Reason, "no record of the image") {
			t.Errorf("%+v", img)
		}
	})
	t.Run("tag moved", func(t *testing.T) {
		w := newWorld(t)
		good := w.ensure(t)
		w.store.Put(foreign, pinnedA)
		img := w.ensure(t)
		if img.Outcome != OutcomeBuilt || img.ID != good.ID ||
			!strings.Contains(img.Reason, "not built here") {
			t.Errorf("%+v", img)
		}
	})
}

func TestFault35And36_TheIDComesWithTheReference(t *testing.T) {
	w := newWorld(t)
	w.store.Kind = imagestore.KindContainerd
	img := w.ensure(t)
	recs, err := mustDir(t, w).All()
	if err != nil || len(recs) != 1 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	r := recs[0]
	if r.ImageID != img.ID || r.ManifestDigest != img.ID || r.ConfigDigest == img.ID ||
		r.ConfigDigest == "" || r.StoreKind != "containerd" {
		t.Errorf("record %+v of image %s", r, img.ID)
	}
}

func mustDir(t *testing.T, w *world) *cache.Dir {
	t.Helper()
	dir, err := w.records()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFault37_AnImageThatWasPruned(t *testing.T) {
	w := newWorld(t)
	good := w.ensure(t)
	delete(w.store.Images, good.ID)
	delete(w.store.Tags, pinnedA)
	if img := w.ensure(t); img.Outcome != OutcomeBuilt ||
		!strings.Contains(img.Reason, "no longer in the image store") {
		t.Errorf("%+v", img)
	}
}

func TestFault37_TwoEnginesHaveAHitEach(t *testing.T) {
	one := newWorld(t)
	other := newWorld(t, WithCacheDir(one.settings.cacheDir))
	other.store.Address = "unix:///other.sock"
	for _, w := range []*world{one, other} {
		if img := w.ensure(t); img.Outcome != OutcomeBuilt {
			t.Error("what one engine has was believed of another")
		}
	}
	for _, w := range []*world{one, other} {
		if img := w.ensure(t); img.Outcome != OutcomeHit {
			t.Errorf("%s: %+v", w.store.Address, img)
		}
	}
}

func TestFault40_WhatWasDeliveredIsNotWhatWasBuilt(t *testing.T) {
	for name, spoil := range map[string]func(*imagestore.Image){
		"other image":    func(i *imagestore.Image) { i.ID = "sha256:other" },
		"other platform": func(i *imagestore.Image) { i.Platform = "linux/arm64" },
		"no labels":      func(i *imagestore.Image) { i.Labels = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.builder.spoil = spoil
			if _, err := w.Ensure(t.Context(), "claude-code"); !errors.Is(err, ErrVerification) {
				t.Errorf("error is %v", err)
			}
			if tags := w.store.References(); len(tags) != 0 {
				t.Errorf("tags are left: %v", tags)
			}
			w.builder.spoil = nil
			if img := w.ensure(t); img.Outcome != OutcomeBuilt {
				t.Errorf("the failure was remembered: %+v", img)
			}
		})
	}
}

func TestFault42_ALostTagIsPutBackByID(t *testing.T) {
	w := newWorld(t)
	good := w.ensure(t)
	delete(w.store.Tags, pinnedA)
	img := w.ensure(t)
	if img.Outcome != OutcomeHit || img.ID != good.ID || w.store.References()[pinnedA] != good.ID ||
		w.builder.solves() != 1 {
		t.Errorf("%+v, tags %v", img, w.store.References())
	}
}

func TestFault44_ACacheThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, WithCacheDir(filepath.Join(file, "cache")))
	img := w.ensure(t)
	if img.Outcome != OutcomeBuilt ||
		!strings.Contains(strings.Join(img.Warnings, "\n"), "not remembered") {
		t.Errorf("%+v", img)
	}
}

func TestFault45_AGarbledRecordIsAMiss(t *testing.T) {
	w := newWorld(t)
	w.ensure(t)
	var records int
	root := w.settings.cacheDir
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".json" {
			records++
			return os.WriteFile(path, []byte(`{"schema":1,"key"`), 0o600)
		}
		return err
	})
	if err != nil || records != 1 {
		t.Fatalf("%d records, %v", records, err)
	}
	if img := w.ensure(t); img.Outcome != OutcomeBuilt ||
		!strings.Contains(img.Reason, "put aside") {
		t.Errorf("%+v", img)
	}
	if img := w.ensure(t); img.Outcome != OutcomeHit {
		t.Errorf("%+v", img)
	}
}

func TestFault46_TwoProcessesBuildOnce(t *testing.T) {
	w := newWorld(t)
	other, err := New(WithCacheDir(w.settings.cacheDir), WithConfig(w.settings.config))
	if err != nil {
		t.Fatal(err)
	}
	w.attach(other)
	both := make(chan struct{})
	w.builder.wait = func(context.Context) error { <-both; return nil }
	var wg sync.WaitGroup
	outcomes := make([]Outcome, 2)
	for i, o := range []*Orchestrator{w.Orchestrator, other} {
		wg.Go(func() {
			img, err := o.Ensure(t.Context(), "claude-code")
			if err != nil {
				t.Error(err)
			}
			outcomes[i] = img.Outcome
		})
	}
	close(both)
	wg.Wait()
	if w.builder.solves() != 1 || outcomes[0] == outcomes[1] {
		t.Errorf("%d solves, outcomes %v", w.builder.solves(), outcomes)
	}
}

func TestTwentyCallersShareOneSolve(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if img, err := w.Ensure(t.Context(), "claude-code"); err != nil ||
				img.Reference != pinnedA {
				t.Errorf("%+v, %v", img, err)
			}
		})
	}
	wg.Wait()
	if n := w.builder.solves(); n != 1 {
		t.Errorf("%d solves", n)
	}
}

func TestFault49_TheFirstWaiterLeavesAndTheOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		finish := make(chan struct{})
		w.builder.wait = func(ctx context.Context) error {
			select {
			case <-finish:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, err := w.Ensure(ctx, "claude-code"); first <- err }()
		synctest.Wait()
		go func() { _, err := w.Ensure(t.Context(), "claude-code"); second <- err }()
		synctest.Wait()
		leave()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the one that left got %v", err)
		}
		synctest.Wait()
		close(finish)
		if err := <-second; err != nil {
			t.Errorf("the one that stayed got %v", err)
		}
		if n := w.builder.solves(); n != 1 {
			t.Errorf("%d solves", n)
		}
	})
}

func TestFault50_AllWaitersLeaveAndTheSolveEnds(t *testing.T) {
	// The bubble fails the test if a goroutine is left.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var ended bool
		w.builder.wait = func(ctx context.Context) error {
			<-ctx.Done()
			ended = true
			return context.Cause(ctx)
		}
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan error, 2)
		for range 2 {
			go func() { _, err := w.Ensure(ctx, "claude-code"); done <- err }()
		}
		synctest.Wait()
		leave()
		for range 2 {
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
		}
		if synctest.Wait(); !ended || w.builder.solves() != 1 {
			t.Errorf("ended %t, %d solves", ended, w.builder.solves())
		}
	})
}

func TestFault51_AFailureIsNotRemembered(t *testing.T) {
	w := newWorld(t)
	broken := errors.New("broken")
	w.builder.wait = func(context.Context) error { return broken }
	if _, err := w.Ensure(t.Context(), "claude-code"); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	w.builder.wait = nil
	if img := w.ensure(t); img.Outcome != OutcomeBuilt {
		t.Errorf("%+v", img)
	}
}

func TestStoreGoneIsAStoreError(t *testing.T) {
	w := newWorld(t)
	w.ensure(t)
	w.store.Before = storetest.Refuse("", "", imagestore.ErrUnavailable)
	_, err := w.Ensure(t.Context(), "claude-code")
	var e *Error
	if !errors.Is(err, ErrStore) || !errors.As(err, &e) || e.Origin != OriginDocker {
		t.Errorf("error is %v", err)
	}
}

func TestNoCacheAndPullBypassTheHit(t *testing.T) {
	w := newWorld(t)
	w.ensure(t)
	for _, opt := range []EnsureOption{NoCache(), Pull()} {
		if img := w.ensure(t, opt); img.Outcome != OutcomeBuilt || img.Reason == "" {
			t.Errorf("%+v", img)
		}
	}
	if b := w.builder.built; !b[1].NoCache || b[1].Pull || b[2].NoCache || !b[2].Pull {
		t.Errorf("requests %+v", b)
	}
}

func TestACommitAskedForByHand(t *testing.T) {
	w := newWorld(t)
	if img := w.ensure(t, AtRevision(revision(t, shaB), false)); img.Revision.String() != shaB {
		t.Errorf("%+v", img)
	}
	w.heads.err = &resolver.Error{Op: "compare", Err: ErrNotOnBranch}
	if _, err := w.Ensure(
		t.Context(), "claude-code", AtRevision(revision(t, shaB), false),
	); !errors.Is(err, ErrNotOnBranch) {
		t.Errorf("error is %v", err)
	}
	// "Any" is any commit, not any caller: read access to the repository is still checked.
	if _, err := w.Ensure(
		t.Context(), "claude-code", AtRevision(revision(t, shaB), true),
	); !errors.Is(err, ErrNotOnBranch) {
		t.Errorf("error is %v", err)
	}
	w.heads.err = nil
	if img := w.ensure(t, AtRevision(revision(t, shaB), true)); img.Outcome != OutcomeHit ||
		w.heads.asked == 0 {
		t.Errorf("%+v", img)
	}
}

func TestThePlatformIsPartOfTheTag(t *testing.T) {
	for _, c := range []struct{ platform, tag, built string }{
		{"linux/amd64", "aaaaaaaaaaaa", "linux/amd64"},
		{"linux/arm64/v8", "aaaaaaaaaaaa-linux-arm64", "linux/arm64"},
		{"linux/arm/v7", "aaaaaaaaaaaa-linux-arm-v7", "linux/arm/v7"},
		{"native", "aaaaaaaaaaaa-linux-arm64", "linux/arm64"},
	} {
		w := newWorld(t, WithPlatform(c.platform))
		img := w.ensure(t)
		if !strings.HasSuffix(img.Reference, ":"+c.tag) || img.Platform != c.built {
			t.Errorf("%s gave %s for %s", c.platform, img.Reference, img.Platform)
		}
		if img := w.ensure(t); img.Outcome != OutcomeHit {
			t.Errorf("%s: %+v", c.platform, img)
		}
	}
	if _, err := New(WithPlatform("amd64/linux/what/ever")); !errors.Is(err, ErrInvalidInput) {
		t.Errorf("error is %v", err)
	}
}

func TestASHA256RepositoryIsRemembered(t *testing.T) {
	w := newWorld(t)
	w.heads.sha = strings.Repeat("c", 64)
	w.ensure(t)
	w.ensure(t)
	if h := w.heads.hints; h[0].Format != "" || h[len(h)-1].Format != "sha256" {
		t.Errorf("hints %v", h)
	}
}

// TestADialectIsRemembered: what a look-up learned of the git server is the next one's hint, also
// if the server changes while the image stays.
func TestADialectIsRemembered(t *testing.T) {
	w := newWorld(t)
	w.heads.dialect = resolver.Dialect{Protocol: resolver.ProtocolV1}
	w.ensure(t)
	w.ensure(t)
	w.heads.dialect = resolver.Dialect{NoSuffix: true, Protocol: resolver.ProtocolV2Plain}
	w.ensure(t)
	w.heads.hints = nil
	w.ensure(t)
	if h := w.heads.hints; h[0].String() != "no-suffix no-unborn" {
		t.Errorf("hints %v", h)
	}
}

func TestImageAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		img := w.ensure(t)
		got, err := json.MarshalIndent(img, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/image.json", append(got, '\n'))
	})
}

func TestFault39_TwoUsersOfOneEngine(t *testing.T) {
	// They share the engine and no cache folder, so no lock; each has its own temporary name.
	one := newWorld(t)
	other := newWorld(t)
	other.store, other.builder.store = one.store, one.store
	other.attach(other.Orchestrator)
	if one.owner == other.owner {
		t.Fatal("both have the same temporary names")
	}
	one.builder.wait = func(ctx context.Context) error {
		other.builder.wait = func(context.Context) error {
			return errors.New("the other's build fails in the meantime")
		}
		_, err := other.Ensure(ctx, "claude-code")
		if err == nil {
			t.Error("the other's build did not fail")
		}
		return nil
	}
	if img := one.ensure(t); img.Outcome != OutcomeBuilt {
		t.Errorf("%+v", img)
	}
}

func TestALostCacheFolderIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.ensure(t)
	if err := os.RemoveAll(w.settings.cacheDir); err != nil {
		t.Fatal(err)
	}
	if img := w.ensure(t); img.Outcome != OutcomeBuilt || len(img.Warnings) != 0 {
		t.Errorf("%+v", img)
	}
	if img := w.ensure(t); img.Outcome != OutcomeHit {
		t.Errorf("%+v", img)
	}
}

func TestADeadlineIsTheCallersOwn(t *testing.T) {
	w := newWorld(t)
	w.builder.wait = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	var e *Error
	if _, err := w.Ensure(ctx, "claude-code"); !errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &e) {
		t.Errorf("error is %v", err)
	}
}

// TestNamesOfEarlierVersions: an image that an earlier version called by the commit alone, though
// it is built in another form, is a hit and gets its name.
func TestNamesOfEarlierVersions(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("templates:\n- name: own\n"+
		"  repo: https://git.example/o/own\n  target: final\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, WithConfig(config))
	built, err := w.Ensure(t.Context(), "own")
	if err != nil {
		t.Fatal(err)
	}
	repository, tag, _ := strings.Cut(built.Reference, ":")
	old, form := repository+":aaaaaaaaaaaa", strings.TrimPrefix(tag, "aaaaaaaaaaaa")
	w.store.Tags = map[string]string{old: built.ID, repository + ":latest": built.ID}
	recs, err := mustDir(t, w).All()
	if err != nil || len(recs) != 1 || form != "."+recs[0].Form {
		t.Fatalf("%d records, %v; the form is %q", len(recs), err, form)
	}
	recs[0].Reference, recs[0].Form = old, ""
	if err := mustDir(t, w).Put(recs[0]); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		hit, err := w.Ensure(t.Context(), "own")
		if err != nil || hit.Outcome != OutcomeHit || hit.ID != built.ID ||
			hit.Reference != built.Reference {
			t.Fatalf("%+v, %v", hit, err)
		}
		w.wantTags(t, built.Reference, repository+":latest"+form)
	}
	if recs, err := mustDir(t, w).All(); err != nil || len(recs) != 1 ||
		recs[0].Reference != built.Reference {
		t.Errorf("the records are %+v, %v", recs, err)
	}
}
