package server

import (
	"context"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// PruneState is what pruning by itself reports to /metrics.
type PruneState struct {
	// Runs counts all prunes, and Failures those that failed.
	Runs, Failures int64
	// Images were removed, and Bytes freed, build caches included.
	Images, Bytes int64
	// Past has the last prunes that removed something or failed, the newest first.
	Past []PruneRun
}

// PruneRun is a prune by the server itself.
type PruneRun struct {
	Started time.Time `json:"started"`
	TookMS  int64     `json:"took_ms"`
	// Cause says what the prune was for, human-readable.
	Cause string `json:"cause"`
	// Reclaimed is what it freed, in bytes, build caches included.
	Reclaimed int64 `json:"reclaimed"`
	// Images were removed, and so were BuildCaches.
	Images      []PrunedImage `json:"images"`
	BuildCaches int           `json:"build_caches"`
	// Error says what failed, if something did.
	Error string `json:"error,omitempty"`
}

// PrunedImage is an image that was removed, and why, human-readable.
type PrunedImage struct {
	Name      string `json:"name"`
	Reference string `json:"reference"`
	Size      int64  `json:"size"` // in bytes
	Reason    string `json:"reason"`
}

// WithPruneState adds the state of pruning by itself to /metrics and to what the store takes. By
// default there is none.
func WithPruneState(state func() PruneState) Option {
	return func(s *Server) { s.pruneState = state }
}

// WithDisk adds the disk where the images lie to /metrics. By default there is none.
func WithDisk(measure func(context.Context) (pinion.Disk, error)) Option {
	return func(s *Server) { s.disk = measure }
}

// measure returns the disk where the images lie. It is zero if that is not known.
func (s *Server) measure(ctx context.Context) pinion.Disk {
	if s.disk == nil {
		return pinion.Disk{}
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.ready)
	defer cancel()
	d, err := s.disk(ctx)
	if err != nil {
		return pinion.Disk{}
	}
	return d
}

func (p PruneState) write(e exposition) {
	e.all("pinion_prunes_total", "counter", "Prunes by the server itself.", "result",
		map[string]int64{"ok": p.Runs - p.Failures, "failed": p.Failures})
	e.one("pinion_pruned_images_total", "counter", "Images that these removed.", float64(p.Images))
	e.one("pinion_pruned_bytes_total", "counter",
		"Bytes that these freed, those of saved build caches included.", float64(p.Bytes))
}

// diskOf says what lies on a disk.
func diskOf(d pinion.Disk) string {
	if d.Images {
		return "images"
	}
	return "cache"
}

// writeDisk writes a disk, if it is known.
func writeDisk(e exposition, d pinion.Disk) {
	free, size := map[string]int64{}, map[string]int64{}
	if d.Total > 0 {
		free[diskOf(d)], size[diskOf(d)] = d.Free, d.Total
	}
	e.all("pinion_disk_free_bytes", "gauge", "Free space where the images lie, or, if that cannot "+
		"be seen from here, where the cache folder lies.", "of", free)
	e.all("pinion_disk_size_bytes", "gauge", "The size of the same disk.", "of", size)
}
