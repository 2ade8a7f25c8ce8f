package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
)

// sizesEvery is the least time between two surveys of the store for /metrics: one takes a request
// to the engine for each image.
const sizesEvery = 5 * time.Minute

// surveyTimeout bounds such a survey.
const surveyTimeout = time.Minute

// sizes are those of the store, as they were when they were measured last. Measuring takes its
// time, so no scrape waits for it.
type sizes struct {
	mu      sync.Mutex
	begun   time.Time         // of the last survey; guarded by mu
	running bool              // guarded by mu
	usage   *pinion.DiskUsage // nil until the first survey has succeeded; guarded by mu
}

// get returns what was measured last, and begins to measure again if that is long ago.
func (z *sizes) get(
	ctx context.Context, measure func(context.Context) (pinion.DiskUsage, error),
) *pinion.DiskUsage {
	z.mu.Lock()
	defer z.mu.Unlock()
	if !z.running && time.Since(z.begun) >= sizesEvery {
		z.running, z.begun = true, time.Now()
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), surveyTimeout)
			defer cancel()
			usage, err := measure(ctx)
			z.mu.Lock()
			defer z.mu.Unlock()
			z.running = false
			if z.usage = nil; err == nil {
				z.usage = &usage
			}
		}()
	}
	return z.usage
}

// survey measures the store, unless too many others do.
func (s *Server) survey(ctx context.Context) (pinion.DiskUsage, error) {
	if !s.surveys.take() {
		return pinion.DiskUsage{}, errors.New("too many surveys")
	}
	defer s.surveys.free()
	return s.orchestrator.DiskUsage(ctx)
}

// writeSizes writes them, as far as they are known.
func writeSizes(e exposition, u *pinion.DiskUsage, h *history.Size) {
	size, images := map[string]int64{}, 0
	if u != nil {
		size["images"], size["cache"] = u.Size, u.BuildCache
		for _, t := range u.Templates {
			images += t.Images
		}
	}
	if h != nil {
		size["history"] = h.Bytes
	}
	e.maybe("pinion_images", "gauge", "Images of Pinion's in the image store.", u != nil,
		float64(images))
	e.all("pinion_size_bytes", "gauge", "Size of these images and of the saved build caches, as "+
		"measured some minutes ago, and of the history.", "of", size)
	var builds int64
	if h != nil {
		builds = h.Builds
	}
	e.maybe("pinion_history_builds", "gauge", "Builds and hits that the history has.", h != nil,
		float64(builds))
}
