package pinion

import (
	"context"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// askedOnce is a store that is asked what it is once for one job: an engine takes some milliseconds to tell.
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
