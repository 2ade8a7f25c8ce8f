package server

import (
	"errors"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion"
)

// Results of looking for an image, exposed from the start.
const (
	lookupHit    = "hit"
	lookupMiss   = "miss"
	lookupFailed = "failed"
)

// lookups counts what came of looking for images, for callers and ahead of them.
type lookups struct {
	results map[string]int64 // by result
	causes  map[string]int64 // of misses
}

func newLookups() lookups {
	return lookups{results: zeros([]string{lookupHit, lookupMiss, lookupFailed}),
		causes: zeros(pinion.MissCauses())}
}

// countLookup counts a call that began, or the error of one that did not.
func (m *metrics) countLookup(c Call, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil:
		if isLookupFailure(err) {
			m.lookups.results[lookupFailed]++
		}
	case c.Hit():
		m.lookups.results[lookupHit]++
	default:
		m.lookups.results[lookupMiss]++
		if cause := c.Status().Cause; cause != "" {
			m.lookups.causes[cause]++
		}
	}
}

// isLookupFailure reports whether something was asked, and failed: not if the name or the request
// is wrong, or if the caller has left.
func isLookupFailure(err error) bool {
	e, ok := errors.AsType[*pinion.Error](err)
	return ok && e.Origin != pinion.OriginCatalogue && !slices.Contains(
		[]pinion.Class{pinion.ClassCancelled, pinion.ClassUsage}, pinion.ClassOf(err))
}

func (l lookups) write(e exposition) {
	e.all("pinion_lookups_total", "counter",
		"Look-ups of what a name stands for and whether its image is there.", "result", l.results)
	e.all("pinion_misses_total", "counter", "Those that found no image, by the reason.", "cause",
		l.causes)
}

// WithInspections adds the numbers of inspections to /metrics. By default all of them are 0.
func WithInspections(counts func() pinion.Inspections) Option {
	return func(s *Server) { s.inspections = counts }
}

func writeInspections(e exposition, n pinion.Inspections) {
	e.all("pinion_inspections_total", "counter", "Answers about the image of a hit: asked of the "+
		"image store, shared with a caller at the same moment, or remembered.", "result",
		map[string]int64{"asked": n.Asked, "shared": n.Shared, "remembered": n.Remembered})
}
