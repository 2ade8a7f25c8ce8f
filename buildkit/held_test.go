package buildkit

import (
	"errors"
	"testing"
	"time"
)

// TestHeld: there is one delivery, which the builder asks for or which follows the Build.
func TestHeld(t *testing.T) {
	lost, full := errors.New("lost"), errors.New("full")
	response := map[string]string{"a": "b"}
	for name, asked := range map[string]bool{"asked for": true, "not asked for": false} {
		calls := 0
		h := &held{deliver: func(got map[string]string, solveErr error) (Delivery, error) {
			if calls++; (solveErr == nil) != asked || got["a"] != "b" {
				t.Errorf("%s: delivered %v after %v", name, got, solveErr)
			}
			return Delivery{Bytes: 7}, full
		}}
		if asked {
			if err := h.finalize(t.Context(), response); err != nil {
				t.Errorf("the builder is told of %v", err)
			}
		}
		if d, err := h.end(response, lost); d.Bytes != 7 || !errors.Is(err, full) || calls != 1 {
			t.Errorf("%s: %+v, %v after %d calls", name, d, err, calls)
		}
	}
}

// TestHeldIsWaitedFor: a Build that breaks off leaves no delivery behind.
func TestHeldIsWaitedFor(t *testing.T) {
	begun, ended := make(chan struct{}), false
	h := &held{deliver: func(map[string]string, error) (Delivery, error) {
		defer func() { ended = true }()
		close(begun)
		<-time.After(time.Millisecond)
		return Delivery{}, nil
	}}
	go func() { _ = h.finalize(t.Context(), nil) }()
	<-begun
	if _, err := h.end(nil, errors.New("lost")); err != nil || !ended {
		t.Errorf("the delivery still runs; error %v", err)
	}
}
