package imagestore

import (
	"context"
	"sync"
)

// Facts is a store together with what it says about itself. The store is asked at the first call
// of Info and the answer is kept, since an engine takes some milliseconds for it. It is for one
// request: an engine can be switched to its other store. It is safe for concurrent use.
type Facts struct {
	Store Store

	mu    sync.Mutex
	info  EngineInfo
	known bool
}

// NewFacts returns the facts of a store. It does not ask yet.
func NewFacts(s Store) *Facts { return &Facts{Store: s} }

// Info returns what the store says about itself. An error is not kept.
func (f *Facts) Info(ctx context.Context) (EngineInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known {
		return f.info, nil
	}
	info, err := f.Store.Info(ctx)
	f.info, f.known = info, err == nil
	return info, err
}
