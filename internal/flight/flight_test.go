package flight_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"git.moleculesai.app/molecule-ai/pinion/internal/flight"
)

type group = flight.Group[string, *int, int]

func TestCallersShareARunAndLaterOnesDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		runs, finish := 0, make(chan struct{})
		fn := func(context.Context) (int, error) {
			runs++
			<-finish
			return runs, errors.New("failed")
		}
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

func TestAllHaveWhatIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		join := func() *flight.Ticket[*int, int] {
			return g.Join(t.Context(), "k", func() *int {
				return new(int)
			}, func(ctx context.Context, n *int) (int, error) {
				<-ctx.Done()
				return *n, nil
			})
		}
		a, b := join(), join()
		if a.Shared() != b.Shared() {
			t.Error("two callers of one run have different values")
		}
		*a.Shared() = 7
		a.Leave()
		a.Leave() // counts once
		synctest.Wait()
		if c := join(); c.Shared() != b.Shared() {
			t.Error("a caller that left twice ended the run")
		} else {
			c.Leave()
		}
		b.Leave()
		if got, err := b.Wait(t.Context()); got != 7 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
		if d := join(); d.Shared() == b.Shared() {
			t.Error("a run that everybody had left was joined")
		} else {
			d.Leave()
		}
	})
}

func TestTheLastToLeaveCancelsAndStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
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
			t.Errorf("cancelled %t, returned before the run had ended: %t", cancelled,
				len(errs) != 0)
		}
		close(ended)
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestARunThatIsBeingCancelledIsNotJoined: who comes after the last caller has left gets a run of
// its own, not somebody else's cancellation.
func TestARunThatIsBeingCancelledIsNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g flight.Group[string, int, int]
		ended, runs := make(chan struct{}), 0
		join := func() *flight.Ticket[int, int] {
			return g.Join(t.Context(), "k", func() int { runs++; return runs },
				func(ctx context.Context, n int) (int, error) {
					if n > 1 {
						return n, nil
					}
					<-ctx.Done()
					<-ended
					return 0, ctx.Err()
				})
		}
		join().Leave()
		late := join()
		close(ended)
		if v, err := late.Wait(t.Context()); v != 2 || err != nil {
			t.Errorf("the caller who came later got %d, %v", v, err)
		}
	})
}

// TestCancel ends a run for all who wait, and those who come later get another.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		slow := make(chan struct{})
		join := func() *flight.Ticket[*int, int] {
			return g.Join(t.Context(), "k", func() *int { return new(int) },
				func(ctx context.Context, _ *int) (int, error) {
					<-ctx.Done()
					<-slow
					return 0, ctx.Err()
				})
		}
		a, b := join(), join()
		b.Cancel()
		next := join()
		if next.Joined() || next.Shared() == a.Shared() {
			t.Error("a cancelled run was joined")
		}
		close(slow)
		for _, ticket := range []*flight.Ticket[*int, int]{a, b} {
			if _, err := ticket.Wait(t.Context()); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		b.Cancel() // it has ended
		if other := join(); other.Shared() != next.Shared() {
			t.Error("the end of a run removed another one")
		} else {
			other.Leave()
		}
		next.Leave()
	})
}
