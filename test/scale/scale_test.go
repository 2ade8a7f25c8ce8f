// Package scale measures time and memory for each of many items: templates in a catalogue, records,
// blobs of a layout, builds in a queue, readers of a build's events.
//
//	make scale
//
// Each benchmark has a size and ten times that size. Nothing may grow faster than the items, and
// what a hit needs may not grow at all.
package scale

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/feed"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/layout"
	"git.moleculesai.app/molecule-ai/pinion/internal/queue"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// at runs a benchmark at a tenth of the items, and at all of them.
func at(b *testing.B, items int, run func(b *testing.B, items int)) {
	b.Helper()
	for _, n := range []int{items / 10, items} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { run(b, n) })
	}
}

// perItem reports the time of an iteration by items.
func perItem(b *testing.B, items int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(items), "ns/item")
}

// held reports what a value and what it leads to keep in memory, by items. create returns it.
func held[T any](b *testing.B, items int, create func() T) {
	b.Helper()
	before := heap()
	value := create()
	b.ReportMetric((heap()-before)/float64(items), "B/item")
	runtime.KeepAlive(value)
}

// heap is the size of what is reachable, with the stacks of goroutines, in bytes.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkCatalogue reads a configuration file.
func BenchmarkCatalogue(b *testing.B) {
	at(b, 10_000, func(b *testing.B, items int) {
		var text strings.Builder
		text.WriteString("templates:\n")
		for i := range items {
			fmt.Fprintf(&text, "  - name: t%d\n    repo: https://git.example.com/team/t%d\n"+
				"    branch: main\n    args: {VERSION: {file: .version}}\n", i, i)
		}
		path := filepath.Join(b.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		load := func() *resolver.Catalogue {
			setup, err := resolver.Load(resolver.LoadConfig{File: path, Required: true,
				Lookup: os.LookupEnv})
			if err != nil {
				b.Fatal(err)
			}
			if problems := setup.Catalogue.Problems(); len(problems) > 0 {
				b.Fatal(problems[0])
			}
			return setup.Catalogue
		}
		for b.Loop() {
			load()
		}
		perItem(b, items)
		held(b, items, load)
	})
}

// BenchmarkRecords: ten of each line.
func BenchmarkRecords(b *testing.B) {
	at(b, 100_000, func(b *testing.B, items int) {
		d, err := cache.Open(filepath.Join(b.TempDir(), "cache"))
		if err != nil {
			b.Fatal(err)
		}
		record := func(i int) cache.Record {
			line := digest.FromString(fmt.Sprint(i / 10)).Encoded()
			key := digest.FromString(fmt.Sprint(i)).Encoded()
			return cache.Record{Line: line, Store: "store", StoreKind: "classic", Key: key,
				ImageID: "sha256:" + key, Name: "template", Repository: "https://git.example.com/x"}
		}
		b.Run("put", func(b *testing.B) {
			for b.Loop() {
				for i := range items {
					if err := d.Put(record(i)); err != nil {
						b.Fatal(err)
					}
				}
			}
			perItem(b, items)
		})
		b.Run("find one", func(b *testing.B) {
			rec := record(items / 2)
			for b.Loop() {
				if recs, _, err := d.Find(rec.Line, rec.Store, rec.Key); err != nil ||
					len(recs) != 1 {
					b.Fatal(len(recs), err)
				}
			}
		})
		b.Run("read all", func(b *testing.B) {
			all := func() []cache.Record {
				recs, err := d.All()
				if err != nil || len(recs) != items {
					b.Fatal(len(recs), err)
				}
				return recs
			}
			for b.Loop() {
				all()
			}
			perItem(b, items)
			held(b, items, all)
		})
	})
}

// BenchmarkLayout: a folder with blobs of other programs, and one image.
func BenchmarkLayout(b *testing.B) {
	at(b, 50_000, func(b *testing.B, items int) {
		dir := b.TempDir()
		l, err := layout.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		image := newImage("one")
		if err := l.Load(b.Context(), image.archive(), image.name); err != nil {
			b.Fatal(err)
		}
		blobs := filepath.Join(dir, "blobs", "sha256")
		for i := range items {
			body := fmt.Sprint("blob ", i)
			path := filepath.Join(blobs, digest.FromString(body).Encoded())
			if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		b.Run("inspect one", func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Inspect(b.Context(), image.name); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("add and remove one", func(b *testing.B) {
			other := newImage("other")
			for b.Loop() {
				if err := l.Load(b.Context(), other.archive(), other.name); err != nil {
					b.Fatal(err)
				}
				if err := l.Untag(b.Context(), other.name); err != nil {
					b.Fatal(err)
				}
			}
			perItem(b, items)
		})
	})
}

// BenchmarkQueue: builds that wait for one place get it one after the other. Whenever one has gone,
// all others learn their positions; the time is for one of them.
func BenchmarkQueue(b *testing.B) {
	at(b, 2000, func(b *testing.B, items int) {
		for b.Loop() {
			q := queue.New(1)
			first := q.Turn(true, func(int) {})
			if err := first.Take(b.Context()); err != nil {
				b.Fatal(err)
			}
			var all, queued sync.WaitGroup
			queued.Add(items)
			held(b, items, func() *queue.Queue {
				for range items {
					all.Go(func() {
						var once sync.Once
						turn := q.Turn(true, func(int) { once.Do(queued.Done) })
						if err := turn.Take(b.Context()); err != nil {
							b.Error(err)
						}
						turn.Leave()
					})
				}
				queued.Wait()
				return q
			})
			first.Leave()
			all.Wait()
		}
		perItem(b, items*items/2)
	})
}

// BenchmarkReaders: all readers of one build get its hundred events. The time is for one event of
// one reader.
func BenchmarkReaders(b *testing.B) {
	at(b, 1000, func(b *testing.B, items int) {
		const events = 100
		for b.Loop() {
			f := feed.New[int64](1 << 20)
			var all sync.WaitGroup
			held(b, items, func() *feed.Feed[int64] {
				for range items {
					all.Go(func() {
						n := 0
						for range f.After(context.WithoutCancel(b.Context()), 0) {
							n++
						}
						if n != events {
							b.Errorf("%d events", n)
						}
					})
				}
				return f
			})
			for range events {
				f.Add(1, func(number int64) int64 { return number })
			}
			f.Close()
			all.Wait()
		}
		perItem(b, items*events)
	})
}
