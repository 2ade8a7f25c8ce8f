package history

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"git.moleculesai.app/molecule-ai/pinion"
)

// BenchmarkList lists and filters a history of 100,000 builds, of which every 1,000th failed.
func BenchmarkList(b *testing.B) {
	limits := DefaultLimits
	limits.Count, limits.Bytes = 1<<20, 1<<40
	d, err := open(b.TempDir(), limits)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	d.now = func() time.Time { return start }
	const builds, batch = 100_000, 500
	for i := 0; i < builds; i += batch {
		if err := d.update(func(tx *bolt.Tx) error {
			for n := i; n < i+batch; n++ {
				s := newRun(fmt.Sprintf("ID%07d", n), fmt.Sprint("t", n%50),
					start.Add(-time.Duration(n)*time.Second)).status
				s.State, s.Ended = pinion.BuildDone, s.Started.Add(time.Second)
				s.Image = &pinion.Image{Reference: s.Reference, ID: "sha256:1"}
				if n%1000 == 7 {
					s.State = pinion.BuildFailed
				}
				events := []pinion.Event{{Type: pinion.EventLog, Text: fmt.Sprint("line ", n)}}
				if err := put(tx, Build{BuildStatus: s}, events); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	for name, f := range map[string]Filter{
		"newest 50":          {Limit: 50},
		"failed of one":      {Names: []string{"t7"}, Kinds: []string{KindFailed}, Limit: 50},
		"nothing that is so": {Names: []string{"nobody"}, Limit: 50},
		"oldest 50":          {Before: start.Add(-(builds - 50) * time.Second), Limit: 50},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := d.List(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHit is what a command pays for a hit: the folder is opened, and one line written.
func BenchmarkHit(b *testing.B) {
	folder := b.TempDir()
	limits := DefaultLimits
	limits.HitBytes = 1 << 20
	for b.Loop() {
		d, err := open(folder, limits)
		if err != nil {
			b.Fatal(err)
		}
		recorder(d, &bytes.Buffer{}).Observe(hitRun("HIT", "a", start))
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkServedHit is what a server pays for one.
func BenchmarkServedHit(b *testing.B) {
	d, err := open(b.TempDir(), DefaultLimits)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	r, hit := recorder(d, &bytes.Buffer{}, Batched()), hitRun("HIT", "a", start)
	for b.Loop() {
		r.Observe(hit)
	}
}
