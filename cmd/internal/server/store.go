package server

import (
	"context"
	"net/http"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// showUsage says what the images and build caches take of the disk.
func (s *Server) showUsage(w http.ResponseWriter, r *http.Request) {
	usage, err := s.orchestrator.DiskUsage(r.Context())
	if err != nil {
		s.writeFailure(w, r, err)
		return
	}
	s.writeJSON(w, http.StatusOK, struct {
		Schema int `json:"schema"`
		pinion.DiskUsage
		Disk   *diskSpace `json:"disk,omitempty"`
		Prunes []PruneRun `json:"prunes,omitempty"`
	}{schema.Version, usage, s.diskSpace(r.Context()), s.prunes()})
}

// diskSpace is the disk where the images lie or, if that cannot be seen, the cache folder.
type diskSpace struct {
	Of    string `json:"of"`
	Free  int64  `json:"free"`
	Total int64  `json:"total"`
}

// diskSpace returns the disk, or nil if it is not known.
func (s *Server) diskSpace(ctx context.Context) *diskSpace {
	d := s.measure(ctx)
	if d.Total == 0 {
		return nil
	}
	return &diskSpace{diskOf(d), d.Free, d.Total}
}

// prunes returns the last prunes by the server itself, the newest first.
func (s *Server) prunes() []PruneRun {
	if s.pruneState == nil {
		return nil
	}
	past := s.pruneState().Past
	for i, p := range past {
		p.Cause, p.Error = s.clean(p.Cause), s.clean(p.Error)
		p.Images = slices.Clone(p.Images)
		for k, img := range p.Images {
			p.Images[k].Reason = s.clean(img.Reason)
		}
		past[i] = p
	}
	return past
}

// pruneRequest is the body of a request to prune.
type pruneRequest struct {
	Keep         int   `json:"keep"`
	MaxSize      int64 `json:"max_size"`
	CacheMaxSize int64 `json:"cache_max_size"`
	DryRun       bool  `json:"dry_run"`
}

// prune removes images, or says which it would remove.
func (s *Server) prune(w http.ResponseWriter, r *http.Request) {
	var req pruneRequest
	if p := readObject(r, &req); p != nil {
		s.writeProblem(w, r, p)
		return
	}
	if req.Keep < 0 || req.MaxSize < 0 || req.CacheMaxSize < 0 {
		s.writeProblem(w, r, badRequest("the body: a bound is not negative"))
		return
	}
	if !req.DryRun {
		s.log.Info("images are pruned on request of " + s.clean(askerOf(r, callerOf(r))))
	}
	report, err := s.orchestrator.Prune(r.Context(), pinion.PruneOptions{Keep: req.Keep,
		MaxSize: req.MaxSize, CacheMaxSize: req.CacheMaxSize, DryRun: req.DryRun})
	if err != nil {
		s.writeFailure(w, r, err)
		return
	}
	if report.Items == nil {
		report.Items = []pinion.PruneItem{}
	}
	s.writeJSON(w, http.StatusOK, struct {
		Schema int `json:"schema"`
		pinion.PruneReport
	}{schema.Version, report})
}

// examine says whether what a build needs is there.
func (s *Server) examine(w http.ResponseWriter, r *http.Request) {
	checks := s.orchestrator.Doctor(r.Context())
	for i, c := range checks {
		checks[i].Name, checks[i].Detail = s.clean(c.Name), s.clean(c.Detail)
	}
	s.writeJSON(w, http.StatusOK, struct {
		Schema int            `json:"schema"`
		Checks []pinion.Check `json:"checks"`
	}{schema.Version, checks})
}
