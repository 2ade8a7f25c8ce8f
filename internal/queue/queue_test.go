package queue_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"git.moleculesai.app/molecule-ai/pinion/internal/queue"
)

func TestInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New(1)
		first, err := q.Enter(t.Context(), func(int) { t.Error("the first had to wait") })
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []int
		places := map[int][]int{}
		leaves := make(chan func(), 3)
		for i := range 3 {
			go func() {
				leave, err := q.Enter(t.Context(), func(p int) {
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
		a, _ := q.Enter(t.Context(), func(int) {})
		b, _ := q.Enter(t.Context(), func(int) {})
		ctx, giveUp := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { _, err := q.Enter(ctx, func(int) {}); gone <- err }()
		synctest.Wait()
		var places []int
		in := make(chan func(), 1)
		go func() {
			leave, _ := q.Enter(t.Context(), func(p int) { places = append(places, p) })
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
			if _, err := q.Enter(t.Context(), func(int) {
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
	for range 200 {
		q := queue.New(1)
		leave, _ := q.Enter(t.Context(), func(int) {})
		ctx, giveUp := context.WithCancel(t.Context())
		out := make(chan struct{})
		go func() {
			defer close(out)
			if leave, err := q.Enter(ctx, func(int) {}); err == nil {
				leave()
			}
		}()
		go giveUp()
		leave()
		<-out
		again, err := q.Enter(t.Context(), func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		again()
	}
}

func TestNoBound(t *testing.T) {
	q := queue.New(0)
	for range 10 {
		if _, err := q.Enter(t.Context(), func(int) { t.Error("had to wait") }); err != nil {
			t.Fatal(err)
		}
	}
}
