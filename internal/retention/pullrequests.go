package retention

import (
	"fmt"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// PullRule says which images of one pull request stay: the first Keep in the order of rank, each
// for no longer than MaxAge after its build. None stays once the pull request is closed.
type PullRule struct {
	Keep   int
	MaxAge time.Duration
}

func (h *holding) isOfPull() bool { return h.family.PullRequest != 0 }

// keepOf returns how many images of a family stay: keep, or what the rule of a pull request says.
// The number that a caller wants for branches says nothing about pull requests, but 0 is all.
func (s *Survey) keepOf(h *holding, keep int) int {
	if keep == 0 || !h.isOfPull() {
		return keep
	}
	if s.Pulls == nil {
		return keep // the rules are not known
	}
	return s.Pulls[h.family.Source].Keep
}

// decidePull is decide for an image of a pull request that is in order.
func (s *Survey) decidePull(p Policy, h *holding) (reason string, remove bool) {
	n := h.family.PullRequest
	rule, known := s.Pulls[h.family.Source]
	keep := s.keepOf(h, p.Keep)
	age := p.Now.Sub(h.BuiltAt)
	switch {
	case h.closed:
		return fmt.Sprintf("pull request %d is closed", n), true
	case s.Pulls != nil && !known:
		return "pull requests of its template are not built any more", true
	case h.rank >= keep:
		return fmt.Sprintf("not among the newest %d of pull request %d", keep, n), true
	case rule.MaxAge > 0 && age > rule.MaxAge:
		return fmt.Sprintf("of pull request %d, and built longer than %s ago", n, rule.MaxAge), true
	case p.MaxAge > 0 && age > p.MaxAge:
		return fmt.Sprintf("built longer than %s ago", p.MaxAge), true
	}
	return fmt.Sprintf("among the newest %d of pull request %d", keep, n), false
}

// ClosePull marks the images of a template's pull request in all stores, so that a prune removes
// them. One that is handed out again later is no longer marked.
func ClosePull(dir *cache.Dir, from recipe.Source, number int) error {
	recs, err := dir.All()
	if err != nil {
		return err
	}
	type place struct{ line, store string }
	done := map[place]bool{}
	for _, rec := range recs {
		at := place{rec.Line, rec.Store}
		r, ours := recipe.FromRecord(rec)
		if !ours || r.PullRequest != number || r.Source() != from || done[at] {
			continue
		}
		done[at] = true
		m := dir.Marks(rec.Line, rec.Store)
		m.Closed = true
		if err := dir.PutMarks(rec.Line, rec.Store, m); err != nil {
			return err
		}
	}
	return nil
}
