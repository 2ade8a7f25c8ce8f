package verify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
)

// marked is build for an image that was requested by the branch.
func (w *world) marked(t *testing.T) cache.Record {
	t.Helper()
	rec := w.build(t)
	verify.MarkBuilt(w.dir, rec, true)
	return rec
}

// traps puts files among the records that are renamed if they are read.
func (w *world) traps(t *testing.T, n int) (intact func() int) {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(w.dir.Path(), "records", "*", "*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("%q, %v", folders, err)
	}
	for i := range n {
		name := filepath.Join(folders[0], fmt.Sprintf("%064x-classic.json", i))
		if err := os.WriteFile(name, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func() int {
		t.Helper()
		bad, err := filepath.Glob(filepath.Join(folders[0], "*.bad"))
		if err != nil {
			t.Fatal(err)
		}
		return n - len(bad)
	}
}

// TestHitReadsItsRecordAlone: neither a hit nor a miss depends on how many records a template has.
func TestHitReadsItsRecordAlone(t *testing.T) {
	for name, c := range map[string]struct{ commit, miss string }{
		"the commit before": {shaA, ""},
		"the last commit":   {shaB, ""},
		"another commit":    {"cccccccccccccccccccccccccccccccccccccccc", "no image"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, imagestore.KindClassic)
			before := w.marked(t)
			w.recipe = w.recipe.At(revision(t, shaB))
			last := w.marked(t)
			intact := w.traps(t, 1000)
			p := verify.Begin(t.Context(), w.store, w.records, w.recipe, true)
			rec, miss, err := p.Hit(t.Context(), w.recipe.At(revision(t, c.commit)))
			if err != nil || miss.IsHit() != (c.miss == "") || p.First() ||
				p.Dialect().Format != "sha1" {
				t.Errorf("miss %q, error %v", miss, err)
			}
			if want := map[string]string{shaA: before.Key, shaB: last.Key}[c.commit]; rec.Key !=
				want {
				t.Errorf("the record is %+v", rec)
			}
			if miss.IsHit() {
				p.Mark(rec, true)
			}
			if got := intact(); got != 1000 {
				t.Errorf("%d other records were read", 1000-got)
			}
		})
	}
}

// TestEarlyInspectionFollowsTheMark: it is for the head that was requested last, not for what was
// built last.
func TestEarlyInspectionFollowsTheMark(t *testing.T) {
	w := newWorld(t, imagestore.KindClassic)
	old := w.marked(t)
	w.recipe = w.recipe.At(revision(t, shaB))
	w.marked(t)
	hit := func(commit string, isHead bool) int {
		t.Helper()
		r := w.recipe.At(revision(t, commit))
		before := w.store.Inspections()
		p := verify.Begin(t.Context(), w.store, w.records, r, true)
		rec, miss, err := p.Hit(t.Context(), r)
		if !miss.IsHit() || err != nil {
			t.Fatalf("miss %q, error %v", miss, err)
		}
		p.Mark(rec, isHead)
		return w.store.Inspections() - before
	}
	// A commit that was named does not change the guess; the branch's head does.
	hit(shaA, false)
	if marks := w.dir.Marks(old.Line, old.Store); marks.Answered != old.Mark() ||
		marks.Head == old.Mark() {
		t.Errorf("marks are %+v", marks)
	}
	hit(shaA, true)
	if n := hit(shaA, true); n != 1 {
		t.Errorf("%d inspections", n)
	}
}

// TestMarksThatLeadNowhere: what they name is gone, spoilt or no record at all.
func TestMarksThatLeadNowhere(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, w *world, rec cache.Record, file string){
		"no marks": func(t *testing.T, _ *world, _ cache.Record, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		},
		"a record that is gone": func(t *testing.T, w *world, rec cache.Record, _ string) {
			rec.Key = fmt.Sprintf("%064x", 1)
			verify.MarkBuilt(w.dir, rec, true)
		},
		"garbage": func(t *testing.T, _ *world, _ cache.Record, file string) {
			if err := os.WriteFile(file, []byte("head ../../../x\nanswered\n\x00"),
				0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a link": func(t *testing.T, _ *world, _ cache.Record, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/etc/passwd", file); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, imagestore.KindClassic)
			rec := w.marked(t)
			files, err := filepath.Glob(filepath.Join(w.dir.Path(), "records", "*", "*", "last"))
			if err != nil || len(files) != 1 {
				t.Fatalf("%q, %v", files, err)
			}
			spoil(t, w, rec, files[0])
			p := verify.Begin(t.Context(), w.store, w.records, w.recipe, true)
			got, miss, err := p.Hit(t.Context(), w.recipe)
			if !miss.IsHit() || err != nil || got.Key != rec.Key || p.First() {
				t.Errorf("%+v, miss %q, error %v", got, miss, err)
			}
			p.Mark(got, true)
			if marks := w.dir.Marks(rec.Line, rec.Store); marks.Head != rec.Mark() ||
				marks.Answered != rec.Mark() {
				t.Errorf("marks are %+v", marks)
			}
		})
	}
}
