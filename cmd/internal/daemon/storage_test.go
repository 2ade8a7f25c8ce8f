//go:build linux

package daemon_test

import (
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

func TestPruneFreesUnusedCache(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	build := b.solve(b.ensure(m), newTemplate(t, "RUN echo x > /x"))
	if err := build.wait(t); err != nil {
		t.Fatal(err)
	}
	if used := b.process(m).DiskUsage; used < 1<<20 {
		t.Errorf("%d bytes used", used)
	}
	freed, err := m.Prune(t.Context(), daemon.Prune{All: true})
	if err != nil || freed < 1<<20 {
		t.Errorf("freed %d bytes, %v", freed, err)
	}
	if used := b.process(m).DiskUsage; used > 1<<16 {
		t.Errorf("%d bytes still used", used)
	}
}

// BuildKit collects garbage a second after it has started, and then at most once a minute.
func TestCacheStaysWithinItsLimit(t *testing.T) {
	const limit = 8 << 20
	b := newBed(t)
	m := b.manager("v1")
	build := b.solve(b.ensure(m), newTemplate(t,
		"RUN for i in 1 2 3 4 5; do cat /bin/busybox; done > /big && for i in 1 2 3 4; do cat "+
			"/big; done > /bigger"))
	if err := build.wait(t); err != nil {
		t.Fatal(err)
	}
	if used := b.process(m).DiskUsage; used < 2*limit {
		t.Fatalf("%d bytes used, too few to collect", used)
	}
	if _, err := m.Stop(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	limited := b.manager("v1", daemon.WithKeepStorage(limit))
	b.ensure(limited)
	if keep := b.process(limited).KeepStorage; keep != limit {
		t.Errorf("it keeps %d bytes", keep)
	}
	within(t, time.Minute, "the cache is within its limit", func() bool {
		return b.process(limited).DiskUsage <= limit
	})
}
