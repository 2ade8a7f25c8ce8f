package flight_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
)

func TestCallersShareARunAndLaterOnesDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int]
		runs, finish := 0, make(chan struct{})
		fn := func(context.Context) (int, error) { runs++; <-finish; return runs, errors.New("failed") }
		got := make(chan int, 3)
		for range 3 {
			go func() { v, _ := g.Do(t.Context(), "k", fn); got <- v }()
		}
		synctest.Wait()
		close(finish)
		for range 3 {
			if v := <-got; v != 1 {
				t.Errorf("a caller got run %d", v)
			}
		}
		if v, _ := g.Do(t.Context(), "k", fn); v != 2 {
			t.Errorf("the later caller got run %d", v)
		}
	})
}

func TestTheLastToLeaveCancelsAndStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int]
		cancelled, ended := false, make(chan struct{})
		fn := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			cancelled = true
			<-ended
			return 0, ctx.Err()
		}
		first, leaveFirst := context.WithCancel(t.Context())
		second, leaveSecond := context.WithCancel(t.Context())
		errs := make(chan error, 2)
		go func() { _, err := g.Do(first, "k", fn); errs <- err }()
		synctest.Wait()
		go func() { _, err := g.Do(second, "k", fn); errs <- err }()
		synctest.Wait()

		leaveFirst()
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		synctest.Wait()
		if cancelled {
			t.Fatal("the first to leave cancelled the run of the second")
		}
		leaveSecond()
		synctest.Wait()
		if !cancelled || len(errs) != 0 {
			t.Errorf("cancelled %t, returned before the run had ended: %t", cancelled, len(errs) != 0)
		}
		close(ended)
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
