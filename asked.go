package pinion

import (
	"context"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// askedOnce is a store that is asked what it is once for one job: an engine takes some milliseconds
// to tell.
type askedOnce struct {
	store
	mu   sync.Mutex
	info imagestore.EngineInfo
	told bool
}

func (s *askedOnce) Info(ctx context.Context) (imagestore.EngineInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told {
		return s.info, nil
	}
	info, err := s.store.Info(ctx)
	s.info, s.told = info, err == nil
	return info, err
}

// engineOf is the engine that a store is, with a BuildKit of its own; nil if it is none.
func engineOf(st store) buildkit.Engine {
	if asked, ok := st.(*askedOnce); ok {
		st = asked.store
	}
	e, _ := st.(buildkit.Engine)
	return e
}
