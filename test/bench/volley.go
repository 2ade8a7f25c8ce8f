package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// volleyTimeout bounds one volley. One that takes longer is an error, not a number.
const volleyTimeout = 2 * time.Minute

// volley is a number of callers that ask at the same time, each again as soon as it has its answer,
// until all questions have been begun.
type volley struct{ callers, questions int }

// run asks the questions. An answer that is not the one wanted is an error of ask.
func (v volley) run(ctx context.Context, ask func(context.Context) error) (run, error) {
	ctx, cancel := context.WithTimeout(ctx, volleyTimeout)
	defer cancel()
	waits, errs := make(stats.Times, v.questions), make([]error, v.callers)
	var next atomic.Int64
	var all sync.WaitGroup
	begun := time.Now()
	for i := range v.callers {
		all.Go(func() {
			for n := next.Add(1); n <= int64(v.questions); n = next.Add(1) {
				begun := time.Now()
				if errs[i] = ask(ctx); errs[i] != nil {
					cancel()
					return
				}
				waits[n-1] = time.Since(begun)
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	if err := firstCause(errs); err != nil {
		return run{}, fmt.Errorf("%d callers: %w", v.callers, err)
	}
	return run{Run: stats.Run{Time: took, Waits: waits}}, nil
}

// firstCause prefers the error that ended the volley to those of callers who were stopped by it.
func firstCause(errs []error) (found error) {
	for _, err := range errs {
		if found == nil || errors.Is(found, context.Canceled) && err != nil {
			found = err
		}
	}
	return found
}
