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

// history is what the cache folder remembers of a recipe's line in one store, newest first. It
// proves nothing.
type history struct {
	records  []cache.Record
	rejected []string
	err      error
}

func openHistory(records Records, r recipe.Recipe, endpoint string) history {
	dir, err := records()
	if err != nil {
		return history{err: err}
	}
	recs, rejected, err := dir.Records(r.Line(), endpoint)
	return history{recs, rejected, err}
}

// dialect returns how the git server is asked as far as it is remembered, the repository's object
// format included. A question in the right dialect saves requests.
func (h history) dialect() resolver.Dialect {
	if len(h.records) == 0 {
		return resolver.Dialect{}
	}
	d := resolver.ParseDialect(h.records[0].Dialect)
	if rev, err := git.ParseRevision(h.records[0].Revision); err == nil {
		d.Format = rev.Format()
	}
	return d
}

// of returns the records of a key.
func (h history) of(key string) (recs []cache.Record) {
	for _, r := range h.records {
		if r.Key == key {
			recs = append(recs, r)
		}
	}
	return recs
}

// miss returns the reason why no record has the key.
func (h history) miss() Miss {
	switch {
	case h.err != nil:
		return Miss(fmt.Sprintf("the cache cannot be read: %v", h.err))
	case len(h.rejected) > 0:
		return Miss("unreadable record put aside: " + h.rejected[0])
	default:
		return missNoRecord
	}
}
