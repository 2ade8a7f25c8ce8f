package pinion

import (
	"context"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion/internal/queue"
)

// savesAtOnce is how many build caches are saved at a time. Two keep a disk busy.
const savesAtOnce = 2

// saving is the cache of one build on its way out. One of the two is called, once.
type saving struct {
	do   func(context.Context)
	drop func(reason string)
}

// saves bounds the saving of caches, each of which keeps a builder's connection: of a line one is
// under way and one waits, the newest.
type saves struct {
	after  *afterwards
	places *queue.Queue

	mu sync.Mutex
	// next has the lines that are at work, with what waits.
	next map[string]*saving
}

func newSaves(after *afterwards) *saves {
	return &saves{after: after, places: queue.New(savesAtOnce), next: map[string]*saving{}}
}

func (s *saves) add(ctx context.Context, line string, one saving) {
	s.mu.Lock()
	older, working := s.next[line]
	s.next[line] = &one
	s.mu.Unlock()
	if older != nil {
		older.drop("that of a later build is saved instead")
	}
	if !working {
		s.after.start(ctx, func(ctx context.Context) { s.work(ctx, line) })
	}
}

func (s *saves) work(ctx context.Context, line string) {
	for s.more(line) {
		leave, err := s.places.Enter(ctx, func(int) {})
		one := s.take(line)
		if err != nil {
			one.drop("broken off")
			continue
		}
		one.do(ctx)
		leave()
	}
}

// more says whether anything waits. If not, the line is at work no longer.
func (s *saves) more(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next[line] == nil {
		delete(s.next, line)
		return false
	}
	return true
}

// take is called after more alone, and only the line's own work takes.
func (s *saves) take(line string) *saving {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.next[line]
	s.next[line] = nil
	return one
}
