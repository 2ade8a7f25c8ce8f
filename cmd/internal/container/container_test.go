package container_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
)

func spec() container.Spec {
	return container.Spec{
		Image: "sha256:abc", Platform: "linux/amd64", Args: []string{"cat"}, Env: []string{"A=1"},
		Stdin: true, Remove: true,
	}
}

func TestRunConnectsTheStreams(t *testing.T) {
	f := &fakeEngine{}
	c, err := container.Create(t.Context(), startFake(t, f), spec())
	if err != nil {
		t.Fatal(err)
	}
	if c.ID() != "c1" || !slices.Equal(c.Warnings, []string{"mind the gap"}) {
		t.Errorf("got %s, %q", c.ID(), c.Warnings)
	}
	if m := f.created; m.Image != "sha256:abc" || !slices.Equal(m.Cmd, []string{"cat"}) ||
		!slices.Equal(m.Env, []string{"A=1"}) || !m.HostConfig.AutoRemove {
		t.Errorf("created %+v", m)
	}
	var out, errs bytes.Buffer
	code, err := c.Run(t.Context(), container.Streams{In: strings.NewReader("hello"), Out: &out,
		Err: &errs}, nil)
	if err != nil || code != 7 || out.String() != "HELLO" || errs.String() != "bye" {
		t.Errorf("%d, %v, stdout %q, stderr %q", code, err, out.String(), errs.String())
	}
}

func TestRunForwardsSignals(t *testing.T) {
	f := &fakeEngine{patient: true}
	c, err := container.Create(t.Context(), startFake(t, f), spec())
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	code, err := c.Run(t.Context(), container.Streams{In: strings.NewReader(""),
		Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, signals)
	if err != nil || code != 143 {
		t.Errorf("%d, %v", code, err)
	}
}

// TestRunRemovesAContainerThatDoesNotStart: the engine refuses, or ctx has ended.
func TestRunRemovesAContainerThatDoesNotStart(t *testing.T) {
	const start, remove = "POST /containers/c1/start", "DELETE /containers/c1"
	for _, route := range []string{start, "POST /containers/c1/attach"} {
		f := &fakeEngine{refuse: map[string]int{route: 400}}
		c, err := container.Create(t.Context(), startFake(t, f), spec())
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Run(t.Context(), container.Streams{In: strings.NewReader(""),
			Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, nil)
		var typed *container.Error
		if !errors.As(err, &typed) || f.count(remove) != 1 {
			t.Errorf("%s: %v, removed %d times", route, err, f.count(remove))
		}
	}
	f := &fakeEngine{}
	c, err := container.Create(t.Context(), startFake(t, f), spec())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Run(ctx, container.Streams{}, nil); !errors.Is(err, context.Canceled) ||
		f.count(start) != 0 || f.count(remove) != 1 {
		t.Errorf("%v, started %d, removed %d times", err, f.count(start), f.count(remove))
	}
}

func TestCreateRefused(t *testing.T) {
	f := &fakeEngine{refuse: map[string]int{"POST /containers/create": 409}}
	_, err := container.Create(t.Context(), startFake(t, f), spec())
	var typed *container.Error
	if !errors.As(err, &typed) || typed.Op != "create" {
		t.Errorf("got %v", err)
	}
}
