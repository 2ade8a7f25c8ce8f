package lazy_test

import (
	"errors"
	"sync"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

func TestAValueIsOpenedOnce(t *testing.T) {
	calls := 0
	v := lazy.New(func() (int, error) { calls++; return calls, nil }, nil)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if got, err := v.Get(); got != 1 || err != nil {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
	callers.Wait()
	if calls != 1 {
		t.Errorf("opened %d times", calls)
	}
}

func TestAFailureIsNotRemembered(t *testing.T) {
	broken := errors.New("broken")
	err := broken
	v := lazy.New(func() (string, error) { return "value", err }, nil)
	if _, got := v.Get(); !errors.Is(got, broken) {
		t.Errorf("error is %v", got)
	}
	err = nil
	if got, err := v.Get(); got != "value" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAnInvalidValueIsOpenedAgain(t *testing.T) {
	calls, oldest := 0, 1
	v := lazy.New(func() (int, error) { calls++; return calls, nil },
		func(n int) bool { return n >= oldest })
	for want := 1; want <= 3; want++ {
		oldest = want
		for range 2 {
			if got, err := v.Get(); got != want || err != nil {
				t.Errorf("got %d, %v, want %d", got, err, want)
			}
		}
	}
}
