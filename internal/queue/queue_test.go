package queue_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"git.moleculesai.app/molecule-ai/pinion/internal/queue"
)

// enter takes a turn that a caller wants.
func enter(ctx context.Context, q *queue.Queue, report func(int)) (leave func(), err error) {
	turn := q.Turn(true, report)
	err = turn.Take(ctx)
	return turn.Leave, err
}

func TestInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New(1)
		first, err := enter(t.Context(), q, func(int) { t.Error("the first had to wait") })
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int
		places := map[int][]int{}
		leaves := make(chan func(), 3)
		for i := range 3 {
			go func() {
				leave, err := enter(t.Context(), q, func(p int) {
					mu.Lock()
					places[i] = append(places[i], p)
					mu.Unlock()
				})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				leaves <- leave
			}()
			synctest.Wait()
		}
		first()
		for range 3 {
			(<-leaves)()
			synctest.Wait()
		}
		if !slices.Equal(order, []int{0, 1, 2}) {
			t.Errorf("the order is %v", order)
		}
		if !slices.Equal(places[2], []int{3, 2, 1}) {
			t.Errorf("the last got %v", places[2])
		}
	})
}

func TestWhoLeavesMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New(2)
		a, _ := enter(t.Context(), q, func(int) {})
		b, _ := enter(t.Context(), q, func(int) {})
		ctx, giveUp := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { _, err := enter(ctx, q, func(int) {}); gone <- err }()
		synctest.Wait()
		var places []int
		in := make(chan func(), 1)
		go func() {
			leave, _ := enter(t.Context(), q, func(p int) { places = append(places, p) })
			in <- leave
		}()
		synctest.Wait()
		giveUp()
		if err := <-gone; err == nil {
			t.Error("who gave up got in")
		}
		synctest.Wait()
		if !slices.Equal(places, []int{2, 1}) {
			t.Errorf("the other got %v", places)
		}
		a()
		(<-in)()
		b()
		for range 2 {
			if _, err := enter(t.Context(), q, func(int) {
				t.Error("a place was lost")
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestGivingUpLosesNoPlace: a caller that gives up at the moment when it gets the place gives it
// back.
func TestGivingUpLosesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			q := queue.New(1)
			leave, _ := enter(t.Context(), q, func(int) {})
			ctx, giveUp := context.WithCancel(t.Context())
			out := make(chan struct{})
			go func() {
				defer close(out)
				if leave, err := enter(ctx, q, func(int) {}); err == nil {
					leave()
				}
			}()
			synctest.Wait() // it waits, and then both has a place and has given up
			giveUp()
			leave()
			<-out
			again, err := enter(t.Context(), q, func(int) { t.Error("a place was lost") })
			if err != nil {
				t.Fatal(err)
			}
			again()
		}
	})
}

// line is a queue with one place, which is taken, and the names of those that got it after that.
type line struct {
	*queue.Queue
	leave func()
	order []string
	all   sync.WaitGroup
}

// stand waits for a place in the background, and leaves it at once.
func (l *line) stand(ctx context.Context, name string, wanted bool) *queue.Turn {
	turn := l.Turn(wanted, func(int) {})
	l.all.Go(func() {
		if turn.Take(ctx) == nil {
			l.order = append(l.order, name)
			turn.Leave()
		}
	})
	synctest.Wait()
	return turn
}

func newLine(t *testing.T) *line {
	t.Helper()
	l := &line{Queue: queue.New(1)}
	var err error
	if l.leave, err = enter(t.Context(), l.Queue, func(int) {}); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestWhatNobodyWantsStandsBehind until somebody wants it.
func TestWhatNobodyWantsStandsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.stand(t.Context(), "ahead 1", false)
		l.stand(t.Context(), "caller 1", true)
		promoted := l.stand(t.Context(), "ahead 2", false)
		l.stand(t.Context(), "ahead 3", false)
		l.stand(t.Context(), "caller 2", true)
		promoted.Want()
		promoted.Want()
		l.stand(t.Context(), "caller 3", true)
		l.leave()
		l.all.Wait()
		want := []string{"caller 1", "caller 2", "ahead 2", "caller 3", "ahead 1", "ahead 3"}
		if !slices.Equal(l.order, want) {
			t.Errorf("the order is %v", l.order)
		}
		if again, err := enter(t.Context(), l.Queue, func(int) {
			t.Error("a place was lost")
		}); err != nil {
			t.Error(err)
		} else {
			again()
		}
	})
}

// TestAPauseGivesThePlaceToOthers, and ends before those that had none.
func TestAPauseGivesThePlaceToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t)
		l.leave()
		paused := l.Turn(false, func(int) {})
		if err := paused.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
		resume := make(chan struct{})
		l.all.Go(func() {
			if err := paused.Pause(t.Context(), func() error { <-resume; return nil }); err != nil {
				t.Error(err)
			}
			l.order = append(l.order, "paused")
			paused.Leave()
		})
		synctest.Wait()
		leave, err := enter(t.Context(), l.Queue, func(int) { t.Error("the place was kept") })
		if err != nil {
			t.Fatal(err)
		}
		l.stand(t.Context(), "caller", true)
		close(resume)
		synctest.Wait()
		leave()
		l.all.Wait()
		if !slices.Equal(l.order, []string{"paused", "caller"}) {
			t.Errorf("the order is %v", l.order)
		}
		if err := paused.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
		failed := errors.New("failed")
		err = paused.Pause(t.Context(), func() error { return failed })
		if !errors.Is(err, failed) {
			t.Error(err)
		}
		paused.Leave() // has no place
		one, err := enter(t.Context(), l.Queue, func(int) { t.Error("a place was lost") })
		if err != nil {
			t.Fatal(err)
		}
		l.stand(t.Context(), "last", true)
		if len(l.order) != 2 {
			t.Error("a place was given back twice")
		}
		one()
		l.all.Wait()
	})
}

func TestNoBound(t *testing.T) {
	q := queue.New(0)
	for range 10 {
		if _, err := enter(t.Context(), q, func(int) { t.Error("had to wait") }); err != nil {
			t.Fatal(err)
		}
	}
}
