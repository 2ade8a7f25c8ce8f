package verify

import (
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Records opens the cache folder.
type Records func() (*cache.Dir, error)

// history is what the cache folder remembers of a recipe's line in one store. It proves nothing. It
// reads single records by their names, so it takes no longer if a template has many.
type history struct {
	dir         *cache.Dir
	line, store string
	marks       cache.Marks
	// last is the image that is most likely to be the one that is requested, zero if there is none.
	last     cache.Record
	rejected []string
	err      error
}

func openHistory(records Records, r recipe.Recipe, endpoint string) history {
	dir, err := records()
	h := history{dir: dir, line: r.Line(), store: endpoint, err: err}
	if err != nil {
		return h
	}
	h.marks = dir.Marks(h.line, h.store)
	for _, mark := range []string{h.marks.Head, h.marks.Answered} {
		rec, rejected, ok := dir.Marked(h.line, h.store, mark)
		if rejected != "" {
			h.rejected = append(h.rejected, rejected)
		}
		if ok {
			h.last = rec
			return h
		}
	}
	// Earlier versions leave no marks.
	recs, rejected, err := dir.Records(h.line, h.store)
	h.rejected, h.err = append(h.rejected, rejected...), err
	if len(recs) > 0 {
		h.last = recs[0]
	}
	return h
}

// isEmpty reports whether there is no record.
func (h *history) isEmpty() bool { return h.last.Key == "" }

// dialect returns how the git server is asked as far as it is remembered, the repository's object
// format included. A question in the right dialect saves requests.
func (h *history) dialect() resolver.Dialect {
	if h.isEmpty() {
		return resolver.Dialect{}
	}
	d := resolver.ParseDialect(h.last.Dialect)
	if rev, err := git.ParseRevision(h.last.Revision); err == nil {
		d.Format = rev.Format()
	}
	return d
}

// of returns the records of a key. They count even if others of the line cannot be read.
func (h *history) of(key string) []cache.Record {
	if h.dir == nil {
		return nil
	}
	recs, rejected, err := h.dir.Find(h.line, h.store, key)
	h.rejected = append(h.rejected, rejected...)
	if err != nil {
		h.err = err
	}
	return recs
}

// mark notes that the image of a record is handed out. It writes only what changes.
func (h *history) mark(rec cache.Record, isHead bool) {
	if marks := h.marks.With(rec, isHead); marks != h.marks {
		// A mark is a hint. On a read-only disk there is none.
		_ = h.dir.PutMarks(h.line, h.store, marks)
	}
}

// miss returns the reason why no record has the key.
func (h *history) miss() Miss {
	switch {
	case h.err != nil:
		return Miss{CauseUnreadable, fmt.Sprintf("the cache cannot be read: %v", h.err)}
	case len(h.rejected) > 0:
		return Miss{CauseUnreadable, "unreadable record put aside: " + h.rejected[0]}
	default:
		return missNoRecord()
	}
}
