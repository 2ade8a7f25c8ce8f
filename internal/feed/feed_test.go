package feed_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"

	"git.moleculesai.app/molecule-ai/pinion/internal/feed"
)

func number(n int64) int64 { return n }

func TestEveryReaderSeesAllFromWhereItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := feed.New[int64](100)
		got := make(chan []int64, 2)
		read := func(after int64) { got <- slices.Collect(f.After(t.Context(), after)) }
		go read(0)
		f.Add(0, number)
		f.Add(1, number)
		synctest.Wait()
		go read(1)
		f.Add(0, number)
		synctest.Wait()
		f.Close()
		a, b := <-got, <-got
		if len(a) < len(b) {
			a, b = b, a
		}
		if !slices.Equal(a, []int64{1, 2, 3}) || !slices.Equal(b, []int64{2, 3}) {
			t.Errorf("got %v and %v", a, b)
		}
	})
}

// TestReplace: an event replaces the one before, and readers go on behind it.
func TestReplace(t *testing.T) {
	f := feed.New[int64](100)
	f.Add(1, number)
	for range 1000 {
		f.Replace(90, number, func(before int64) bool { return before > 1 })
	}
	f.Replace(1, number, func(int64) bool { return false })
	f.Close()
	f.Replace(1, number, func(int64) bool { return true })
	if got := slices.Collect(f.After(t.Context(), 0)); !slices.Equal(got, []int64{1, 1001, 1002}) {
		t.Errorf("got %v", got)
	}
	if got := slices.Collect(f.After(t.Context(), 500)); !slices.Equal(got, []int64{1001, 1002}) {
		t.Errorf("behind an event that was replaced: %v", got)
	}
}

// TestNumbersOfNoEvent: a reader of another feed may ask for any number. The difference of two
// numbers may have more bits than an int.
func TestNumbersOfNoEvent(t *testing.T) {
	f := feed.New[int64](100)
	f.Add(1, number)
	f.Add(1, number)
	f.Close()
	for after, want := range map[int64][]int64{
		math.MinInt64: {1, 2}, -1: {1, 2}, 0: {1, 2}, 1: {2}, 2: nil, 1 << 40: nil,
		math.MaxInt64: nil,
	} {
		if got := slices.Collect(f.After(t.Context(), after)); !slices.Equal(got, want) {
			t.Errorf("after %d: %v", after, got)
		}
	}
}

func TestAReaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := feed.New[int64](100)
		ctx, leave := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			for range f.After(ctx, 0) {
			}
			close(done)
		}()
		synctest.Wait()
		leave()
		<-done
	})
}

// TestFault59_AFloodIsBounded: what must stay stays, and of the rest the newest.
func TestFault59_AFloodIsBounded(t *testing.T) {
	f := feed.New[int64](1000)
	f.Add(0, number)
	for range 100_000 {
		f.Add(10, number)
	}
	f.Add(0, number)
	f.Add(0, func(int64) int64 { return -1 })
	f.Close()
	f.Add(0, number)
	kept := slices.Collect(f.After(t.Context(), 0))
	if len(kept) > 103 || len(kept) < 70 {
		t.Errorf("%d events are kept", len(kept))
	}
	if kept[0] != 1 || !slices.Equal(kept[len(kept)-2:], []int64{100_002, -1}) {
		t.Errorf("the ends are %v and %v", kept[0], kept[len(kept)-2:])
	}
	if !slices.IsSorted(kept[:len(kept)-1]) {
		t.Error("out of order")
	}
}
