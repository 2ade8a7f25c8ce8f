package retention

import (
	"cmp"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// rank gives the intact images of each family their places. First is the image without labels of
// callers that was requested last, then that of the branch's head, then the image of each set of
// labels that was requested last, and then all others, the newest first. So the clock decides only
// among images that nobody has requested since others were built.
func (s *Survey) rank() {
	families := map[recipe.Family][]*holding{}
	marks := map[string]cache.Marks{}
	for _, h := range s.holdings {
		line := h.record.Line
		if _, known := marks[line]; !known {
			marks[line] = s.Dir.Marks(line, h.record.Store)
		}
		h.precedence = precedenceOf(h.record, marks[line])
		h.closed = h.isOfPull() && marks[line].Closed
		if h.state == intact {
			families[h.family] = append(families[h.family], h)
		}
	}
	for _, family := range families {
		slices.SortStableFunc(family, func(a, b *holding) int {
			return cmp.Compare(a.precedence, b.precedence)
		})
		for i, h := range family {
			h.rank = i
		}
	}
}

// precedenceOf returns the class of an image within its family, the smallest first.
func precedenceOf(rec cache.Record, m cache.Marks) int {
	mark := rec.Mark()
	switch {
	case mark == m.Answered && len(rec.Labels) == 0:
		return 0
	case mark == m.Head && len(rec.Labels) == 0:
		return 1
	case mark == m.Answered:
		return 2
	}
	return 3
}

// isCurrent reports whether the image is one of a template that can still be requested.
func (s *Survey) isCurrent(h *holding) bool {
	return s.Current == nil || s.Current[h.family.Source]
}
