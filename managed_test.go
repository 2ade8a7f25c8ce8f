package pinion

import (
	"context"
	"errors"
	"testing"
)

func TestManagedBuilderIsStartedOnlyToBuild(t *testing.T) {
	asked := 0
	broken := errors.New("no runc")
	start := func(context.Context) (string, error) { asked++; return "", broken }
	o, err := New(WithBuilder(ManagedBuilder, TLS{}), WithManagedBuilder(start),
		WithPlatform(NativePlatform))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := o.builders.Native(t.Context(), nil); err != nil || p == "" || asked != 0 {
		t.Errorf("its platform is %q, %v, and it was asked %d times", p, err, asked)
	}
	if _, err := o.connect(t.Context(), nil, ""); !errors.Is(err, ErrNoBuilder) ||
		!errors.Is(err, broken) || asked != 1 {
		t.Errorf("got %v, asked %d times", err, asked)
	}
}

func TestManagedBuilderOfAProgramWithout(t *testing.T) {
	o, err := New(WithBuilder(ManagedBuilder, TLS{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.connect(t.Context(), nil, ""); !errors.Is(err, ErrNoBuilder) {
		t.Errorf("got %v", err)
	}
}

func TestManagedBuilderOfACallerWhoLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	start := func(ctx context.Context) (string, error) { cancel(); return "", ctx.Err() }
	o, err := New(WithBuilder(ManagedBuilder, TLS{}), WithManagedBuilder(start))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.connect(ctx, nil, ""); !errors.Is(err, context.Canceled) ||
		errors.Is(err, ErrNoBuilder) {
		t.Errorf("got %v", err)
	}
}
