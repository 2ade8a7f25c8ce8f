package errdef_test

import (
	"errors"
	"fmt"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

func TestSituationOf(t *testing.T) {
	plain := errors.New("no answer")
	marked := errdef.In(errdef.EngineUnreachable, "tcp://engine:2375", plain)
	wrapped := fmt.Errorf("%w: %w", errdef.ErrUnavailable, marked)
	if s, detail := errdef.SituationOf(wrapped); s != errdef.EngineUnreachable ||
		detail != "tcp://engine:2375" {
		t.Errorf("got %q, %q", s, detail)
	}
	if marked.Error() != plain.Error() || !errors.Is(wrapped, plain) {
		t.Errorf("the error is %v", wrapped)
	}
	if s, _ := errdef.SituationOf(plain); s != "" {
		t.Errorf("a plain error is in situation %q", s)
	}
	if errdef.In(errdef.EngineUnreachable, "", nil) != nil {
		t.Error("nil has a situation")
	}
}
