package flight_test

import (
	"context"
	"testing"
	"testing/synctest"

	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
)

// A caller is never answered by a run that had begun before it asked.
func TestARoundBeginsAfterItsCallersHaveAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rounds flight.Rounds[string, int]
		runs, finish := 0, make(chan struct{})
		fn := func(context.Context) (int, error) {
			runs++
			n := runs
			<-finish
			return n, nil
		}
		type result struct {
			value int
			first bool
		}
		ask := func(to chan<- result) {
			v, first, err := rounds.Do(t.Context(), "k", fn)
			if err != nil {
				t.Error(err)
			}
			to <- result{v, first}
		}
		before, after := make(chan result, 1), make(chan result, 5)
		go ask(before)
		synctest.Wait()
		for range cap(after) {
			go ask(after)
		}
		synctest.Wait()
		if runs != 1 {
			t.Errorf("%d runs at once", runs)
		}
		close(finish)
		if got := <-before; got != (result{1, true}) {
			t.Errorf("the first caller got %+v", got)
		}
		firsts := 0
		for range cap(after) {
			got := <-after
			if got.value != 2 {
				t.Errorf("a later caller got run %d", got.value)
			}
			if got.first {
				firsts++
			}
		}
		if runs != 2 || firsts != 1 {
			t.Errorf("%d runs; %d of the later callers were the first of theirs", runs, firsts)
		}
	})
}

func TestARoundEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rounds flight.Rounds[string, int]
		runs, ended := 0, 0
		fn := func(ctx context.Context) (int, error) {
			runs++
			<-ctx.Done()
			ended++
			return 0, ctx.Err()
		}
		leave := make([]context.CancelFunc, 4)
		left := make(chan error, len(leave))
		for i := range leave {
			ctx, cancel := context.WithCancel(t.Context())
			leave[i] = cancel
			go func() { _, _, err := rounds.Do(ctx, "k", fn); left <- err }()
			synctest.Wait() // the first alone is in a run
		}
		leave[1]()
		if err := <-left; err == nil {
			t.Error("no error for one that has left")
		}
		if ended != 0 {
			t.Error("one that waited for the next round ended the run")
		}
		leave[2]()
		leave[3]()
		if a, b := <-left, <-left; a == nil || b == nil {
			t.Error("no error for one that has left")
		}
		leave[0]()
		if err := <-left; err == nil {
			t.Error("no error")
		}
		synctest.Wait()
		if runs != 1 || ended != 1 {
			t.Errorf("%d runs, %d ended; nobody waited for the second", runs, ended)
		}
		if _, _, err := rounds.Do(t.Context(), "k", func(context.Context) (int, error) {
			return 7, nil
		}); err != nil {
			t.Errorf("after all have left: %v", err)
		}
	})
}
