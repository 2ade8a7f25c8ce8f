package retention

import (
	"context"
	"fmt"
)

// Policy says which images stay.
type Policy struct {
	// Keep is how many images of each family stay, in the order of rank. If it is 0, images that
	// have lost their names go as well.
	Keep int
	// Scope is what is considered. Everything else stays, and is not in the report.
	Scope Scope
	// MaxSize in bytes is what all images that stay may take together, 0 for no bound. The first of
	// a family always stays, unless its template can no longer be requested.
	MaxSize int64
	// DryRun changes nothing.
	DryRun bool
}

// Action is what became of one image or record.
type Action string

// The actions.
const (
	// Removed: Pinion's names for the image are gone, and with the last name the image.
	Removed Action = "removed"
	// Forgotten: the image had gone before, now its record has too.
	Forgotten Action = "forgotten"
	// Kept: nothing was done.
	Kept Action = "kept"
)

// Item is one image, and what was done with it.
type Item struct {
	Image
	Action Action
	Reason string // human-readable
	// Reclaimed in bytes is the image's size if it is gone, otherwise 0.
	Reclaimed int64
}

func (i *Item) keep(reason string) { i.Action, i.Reason = Kept, reason }

// Report is what Prune did, or would do.
type Report struct {
	Items []Item
	// Reclaimed and Remaining in bytes are the sizes of the removed and the other images.
	Reclaimed, Remaining int64
}

// Prune applies a policy. An error is of kind [imagestore.ErrStore] or ctx's, and the report then
// holds what had been done.
func (s *Survey) Prune(ctx context.Context, p Policy) (Report, error) {
	err := s.prune(ctx, p)
	return s.report(), err
}

func (s *Survey) prune(ctx context.Context, p Policy) error {
	r := remover{Survey: s, dryRun: p.DryRun, all: p.Keep == 0}
	// Temporary names go first, so that an image which has one goes with its own name.
	for _, temporary := range []bool{true, false} {
		for _, h := range s.holdings {
			if h.isTemporary() != temporary || !p.Scope.has(h) {
				continue
			}
			reason, remove := p.decide(h)
			if !remove {
				h.keep(reason)
			} else if err := r.remove(ctx, h, reason); err != nil {
				return err
			}
		}
	}
	// A removal may be refused, so the size is looked at again before each.
	for i := s.nextBySize(p, len(s.holdings)); i >= 0; i = s.nextBySize(p, i) {
		if err := r.remove(ctx, s.holdings[i], "all images together take too much, and newer "+
			"ones of its template are kept"); err != nil {
			return err
		}
	}
	return nil
}

// decide returns whether an image is removed by its state and its place in the line, and why.
func (p Policy) decide(h *holding) (reason string, remove bool) {
	switch {
	case h.state == missing:
		return missingReason, true
	case h.state == foreign, h.state == lost && p.Keep > 0:
		return h.oddity, false
	case h.isTemporary():
		return "left over from a build that did not finish", true
	case p.Keep == 0:
		return "all images of its template are removed", true
	case h.replaced:
		return replacedReason, true
	case h.rank >= p.Keep:
		return fmt.Sprintf("not among the newest %d of its template", p.Keep), true
	default:
		return fmt.Sprintf("among the newest %d of its template", p.Keep), false
	}
}

// nextBySize returns the index of the oldest image that comes before an index and is removed
// because all images take too much together, or -1.
func (s *Survey) nextBySize(p Policy, before int) int {
	if p.MaxSize == 0 || s.remaining() <= p.MaxSize {
		return -1
	}
	for i := before - 1; i >= 0; i-- {
		// Images beyond the newest Keep were tried before, and stay for a reason.
		h := s.holdings[i]
		if h.isInStore() && (h.rank > 0 || !s.isCurrent(h)) && h.rank < p.Keep {
			return i
		}
	}
	return -1
}

func (s *Survey) remaining() (size int64) {
	for _, h := range s.holdings {
		if h.isInStore() {
			size += h.Size
		}
	}
	return size
}

func (s *Survey) report() Report {
	r := Report{Items: []Item{}, Remaining: s.remaining()}
	for _, h := range s.holdings {
		if h.Action == "" { // not reached before the call ended
			continue
		}
		r.Items = append(r.Items, h.Item)
		r.Reclaimed += h.Reclaimed
	}
	return r
}
