package retention

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Policy says which images stay.
type Policy struct {
	// Keep is how many images of each family stay, in the order of rank; for those of pull requests
	// it is what their rule says. If it is 0, images that have lost their names go as well.
	Keep int
	// Scope is what is considered. Everything else stays, and is not in the report.
	Scope Scope
	// MaxSize in bytes is what all images that stay may take together, 0 for no bound. The first of
	// a family always stays, unless its template can no longer be requested.
	MaxSize int64
	// MaxAge is for how long after its build an image may stay, 0 for no bound. The first of a
	// family stays as with MaxSize. Now is the time to compare with.
	MaxAge time.Duration
	Now    time.Time
	// MaxDiskUse is the part of the images' disk that may be in use, 0 for no bound. If there is
	// more, the oldest images go, and the first of a family stays as with MaxSize.
	MaxDiskUse float64
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
	// Reclaimed in bytes is what is free since the image is gone: what no other image has.
	Reclaimed int64
	// Refused reports whether the image was to go, and the store or the disk did not allow that.
	Refused bool
}

func (i *Item) keep(reason string) { i.Action, i.Reason = Kept, reason }

// Report is what Prune did, or would do.
type Report struct {
	Items []Item
	// Reclaimed in bytes is what is free now, and Remaining what the other images take together.
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
			reason, remove := s.decide(p, h)
			if !remove {
				h.keep(reason)
			} else if err := r.remove(ctx, h, reason); err != nil {
				return err
			}
		}
	}
	bySize := func() bool { return p.MaxSize > 0 && s.remaining() > p.MaxSize }
	if err := r.removeOldest(ctx, p, bySize, "all images together take too much"); err != nil {
		return err
	}
	return r.removeOldest(ctx, p, s.crowded(ctx, p), "its disk is too full")
}

// removeOldest removes images, the oldest first, as long as there is too much. Those of pull
// requests go before all others: no number of them pushes out an image of a branch. A removal may
// be refused, so that is asked before each.
func (r remover) removeOldest(
	ctx context.Context, p Policy, tooMuch func() bool, reason string,
) error {
	for _, ofPulls := range []bool{true, false} {
		for _, h := range slices.Backward(r.holdings) {
			// Images beyond the newest Keep were tried before, and stay for a reason.
			if h.isOfPull() != ofPulls || !h.isInStore() || r.mustStay(h) ||
				h.rank >= r.keepOf(h, p.Keep) {
				continue
			}
			if !tooMuch() {
				return nil
			}
			what := reason + ", and newer ones of its template are kept"
			if ofPulls {
				what = reason + ", and images of pull requests go first"
			}
			if err := r.remove(ctx, h, what); err != nil {
				return err
			}
		}
	}
	return nil
}

// mustStay reports whether no bound but the number removes the image.
func (s *Survey) mustStay(h *holding) bool {
	return h.rank == 0 && s.isCurrent(h) && !h.isOfPull()
}

// decide returns whether an image is removed by its state and its place in the line, and why.
func (s *Survey) decide(p Policy, h *holding) (reason string, remove bool) {
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
	case h.isOfPull():
		return s.decidePull(p, h)
	case h.rank >= p.Keep:
		return fmt.Sprintf("not among the newest %d of its template", p.Keep), true
	case p.MaxAge > 0 && p.Now.Sub(h.BuiltAt) > p.MaxAge && !s.mustStay(h):
		return fmt.Sprintf("built longer than %s ago", p.MaxAge), true
	default:
		return fmt.Sprintf("among the newest %d of its template", p.Keep), false
	}
}

func (s *Survey) remaining() int64 { return s.sizeOf((*holding).isInStore) }

func (s *Survey) reclaimed() (size int64) {
	for _, h := range s.holdings {
		size += h.Reclaimed
	}
	return size
}

func (s *Survey) report() Report {
	r := Report{Items: []Item{}, Remaining: s.remaining(), Reclaimed: s.reclaimed()}
	for _, h := range s.holdings {
		if h.Action == "" { // not reached before the call ended
			continue
		}
		r.Items = append(r.Items, h.Item)
	}
	return r
}
