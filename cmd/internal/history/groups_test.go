package history

import (
	"fmt"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"git.moleculesai.app/molecule-ai/pinion"
)

// many puts builds of 20 templates into the database, a second apart: every 100th failed, and every
// third is a hit. It returns those that are there, the newest first.
func many(t *testing.T, d *Dir, n int) (all []Build) {
	t.Helper()
	if err := d.update(func(tx *bolt.Tx) error {
		for i := range n {
			s := newRun(fmt.Sprintf("ID%05d", i), fmt.Sprint("t", i%20),
				start.Add(time.Duration(i)*time.Second)).status
			s.Ended = s.Started.Add(time.Second)
			s.State = pinion.BuildDone
			b := Build{BuildStatus: s}
			switch {
			case i%100 == 7:
				b.State = pinion.BuildFailed
			case i%3 == 0:
				b.Hits = 2
			}
			again := b
			again.State, again.Hits = Interrupted, 0
			if err := put(tx, again, nil); err != nil { // which the next one replaces
				return err
			}
			if err := put(tx, b, nil); err != nil {
				return err
			}
			if i%50 == 49 {
				if err := drop(tx, keyOf(b.Started, b.ID)); err != nil {
					return err
				}
				continue
			}
			all = append(all, b)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

// TestVisits: a search visits what it finds, and no more, however long the history is.
func TestVisits(t *testing.T) {
	d := folder(t, DefaultLimits)
	all := many(t, d, 5000)
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	for _, c := range []struct {
		f    Filter
		most int // keys
	}{
		{Filter{Limit: 50}, 6 * 50},
		{Filter{Limit: 50, Before: at(60)}, 6 * 50},
		{Filter{Limit: 50, Kinds: []string{KindFailed}}, 50},
		{Filter{Limit: 50, Kinds: []string{KindFailed}, Names: []string{"t7"}}, 50},
		{Filter{Limit: 50, Kinds: []string{KindInterrupted}}, 0},
		{Filter{Limit: 50, Names: []string{"nobody"}}, 0},
		{Filter{Limit: 50, Names: []string{"t1", "t1", "t2"}}, 2 * 6 * 50},
		{Filter{Limit: 50, Names: []string{"t1", "t3"}, Only: []string{"t2", "t3"}}, 6 * 50},
		{Filter{Limit: 50, Names: []string{"t1"}, Only: []string{"t2"}}, 0},
		{Filter{Only: []string{"t2", "t3"}, Kinds: Builds(), Since: at(4900)}, 10},
		{Filter{Since: at(4990), Before: at(4995)}, 5},
		{Filter{Since: at(100), Before: at(50)}, 0},
		{Filter{Kinds: []string{KindHit, KindFailed}}, 5000},
		{Filter{}, 5000},
	} {
		var want []string
		for _, b := range all {
			if c.f.Wants(b) && (c.f.Limit == 0 || len(want) < c.f.Limit) {
				want = append(want, b.ID)
			}
		}
		var got []string
		visited := 0
		if _, err := d.view(func(tx *bolt.Tx) error {
			for range visit(tx, c.f) {
				visited++
			}
			for _, key := range match(tx, c.f) {
				got = append(got, string(key[8:]))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %d builds, want %d: %v, want %v", c.f, len(got), len(want), got, want)
		}
		if visited > c.most {
			t.Errorf("%+v: %d keys are visited, want at most %d", c.f, visited, c.most)
		}
	}
}

// TestDatabaseWithoutGroups: the history of an earlier version is found by each filter.
func TestDatabaseWithoutGroups(t *testing.T) {
	d := folder(t, DefaultLimits)
	all := many(t, d, 200)
	if err := d.open(false, func(db *bolt.DB) error {
		return db.Update(func(tx *bolt.Tx) error {
			if err := tx.DeleteBucket(bucketGroups); err != nil {
				return err
			}
			return putNumber(tx.Bucket(bucketMeta), metaSchema, 1)
		})
	}); err != nil {
		t.Fatal(err)
	}
	for _, f := range []Filter{{}, {Kinds: []string{KindHit}}, {Names: []string{"t7"}}} {
		want := slices.DeleteFunc(slices.Clone(all), func(b Build) bool { return !f.Wants(b) })
		got, err := d.List(t.Context(), f)
		if err != nil || ids(got) != ids(want) || len(got) == 0 {
			t.Errorf("%+v: %s, want %s, %v", f, ids(got), ids(want), err)
		}
	}
}
