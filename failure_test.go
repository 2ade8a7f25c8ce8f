package pinion

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
)

// loggedWorld is a world and the text of its log.
func loggedWorld(t *testing.T) (*world, *strings.Builder) {
	t.Helper()
	var log strings.Builder
	return newWorld(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil)))), &log
}

// TestWhatAFailedStepPrinted is in the error, the event and the log, clean, but not in the text of
// the error.
func TestWhatAFailedStepPrinted(t *testing.T) {
	w, log := loggedWorld(t)
	w.builder.wait = func(context.Context) error {
		return &buildkit.Error{Op: "build", Kind: ErrBuild, Err: &StepError{Step: "[2/3] RUN make",
			ExitCode: 2, Log: []string{"compiling", "no \x1b[31mrule"}, Err: errors.New("failed")}}
	}
	var failed *Failure
	_, err := w.Ensure(t.Context(), "claude-code", OnEvent(func(e Event) {
		if e.Type == EventFailed {
			failed = e.Failure
		}
	}))
	step, ok := errors.AsType[*StepError](err)
	if !ok || len(step.Log) != 2 || strings.Contains(err.Error(), "compiling") {
		t.Errorf("error is %v", err)
	}
	if failed == nil || !slices.Equal(failed.Log, []string{"compiling", `no \x1b[31mrule`}) {
		t.Errorf("failure is %+v", failed)
	}
	for _, line := range []string{"compiling", "rule"} {
		if n := strings.Count(log.String(), line); n != 1 {
			t.Errorf("%q is logged %d times:\n%s", line, n, log)
		}
	}
	if !strings.Contains(log.String(), `level=ERROR msg="local-build: claude-code: compiling"`) {
		t.Errorf("log is\n%s", log)
	}
}

// TestCallersOfOneBuild: all callers but the first have a shared result, and its warnings are
// logged once.
func TestCallersOfOneBuild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log := loggedWorld(t)
		w.records = func() (*cache.Dir, error) { return nil, errors.New("no home") }
		finish := make(chan struct{})
		w.builder.wait = func(context.Context) error { <-finish; return nil }
		images := make(chan Image, 3)
		for range 3 {
			go func() {
				img, err := w.Ensure(t.Context(), "claude-code")
				if err != nil {
					t.Error(err)
				}
				images <- img
			}()
		}
		synctest.Wait()
		close(finish)
		shared, warnings := 0, 0
		for range 3 {
			img := <-images
			if img.Shared {
				shared++
			}
			warnings = len(img.Warnings)
		}
		if shared != 2 {
			t.Errorf("%d of 3 results are shared", shared)
		}
		if n := strings.Count(log.String(), "level=WARN"); n == 0 || n != warnings {
			t.Errorf("%d warnings are logged %d times:\n%s", warnings, n, log)
		}
		if n := strings.Count(log.String(), "Provisioner: local-build mode"); n != 3 {
			t.Errorf("%d lines for 3 calls:\n%s", n, log)
		}
		if again := w.ensure(t); again.Shared {
			t.Error("a call of its own is shared")
		}
	})
}

func TestWarningsAreLogged(t *testing.T) {
	w, log := loggedWorld(t)
	w.records = func() (*cache.Dir, error) { return nil, errors.New("no home") }
	img := w.ensure(t)
	if len(img.Warnings) < 2 {
		t.Fatalf("warnings are %q", img.Warnings)
	}
	for _, warning := range img.Warnings {
		if strings.Count(log.String(), "claude-code: "+warning) != 1 {
			t.Errorf("log lacks %q:\n%s", warning, log)
		}
	}
}

// TestADeadlineSaysWhatWasGoingOn: template, time and step, and it is still the context's error.
func TestADeadlineSaysWhatWasGoingOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.builder.wait = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
		now := time.Now()
		w.builder.status = &client.SolveStatus{Vertexes: []*client.Vertex{{
			Digest: digest.FromString("x"), Name: "[2/3] RUN make", Started: &now}}}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		_, err := w.Ensure(ctx, "claude-code")
		ended, ok := errors.AsType[*ContextError](err)
		if !ok || !errors.Is(err, context.DeadlineExceeded) || ended.Name != "claude-code" ||
			ClassOf(err) != ClassGeneral || ended.After != 3*time.Minute ||
			ended.Doing != "step 1 of 1, [2/3] RUN make" {
			t.Errorf("error is %v", err)
		}
	})
	w := newWorld(t)
	w.heads.err = context.Canceled
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Ensure(ctx, "claude-code")
	if ended, ok := errors.AsType[*ContextError](err); !ok || ended.Doing != "" ||
		ClassOf(err) != ClassCancelled {
		t.Errorf("error is %v", err)
	}
}

func TestEachClassHasAMessage(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range []Class{ClassUsage, ClassNotFound, ClassUnauthorized, ClassUnreachable,
		ClassNoBuilder, ClassStore, ClassVerification, ClassLock, ClassBuild, ClassStalled,
		ClassTimeLimit, ClassCancelled, ClassGeneral} {
		text := c.Message()
		if seen[text] || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: %q", c, text)
		}
		seen[text] = true
	}
	if Class("another").Message() != ClassGeneral.Message() {
		t.Error("a class without a message")
	}
}

// TestALongErrorIsLogged as a whole, once for each call, since a result has a part of it.
func TestALongErrorIsLogged(t *testing.T) {
	for name, c := range map[string]struct {
		length, want int
	}{"long": {errtext.MaxBytes, 1}, "short": {10, 0}} {
		t.Run(name, func(t *testing.T) {
			w, log := loggedWorld(t)
			middle := strings.Repeat("x", c.length) + "middle" + strings.Repeat("y", c.length)
			w.builder.wait = func(context.Context) error { return errors.New(middle) }
			_, err := w.Ensure(t.Context(), "claude-code")
			if err == nil {
				t.Fatal("no error")
			}
			if len(err.Error()) > 2*errtext.MaxBytes ||
				strings.Contains(err.Error(), "middle") != (c.want == 0) {
				t.Errorf("the error has %d bytes: %.200v", len(err.Error()), err)
			}
			got := 0
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "middle") && strings.Contains(line, LogInResult) {
					got++
				}
			}
			if got != c.want {
				t.Errorf("%d lines of the log have the whole text, want %d", got, c.want)
			}
		})
	}
}

// TestWithoutSummaryLine: all other lines stay.
func TestWithoutSummaryLine(t *testing.T) {
	var log strings.Builder
	w := newWorld(t, WithoutSummaryLine(), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	w.ensure(t)
	w.ensure(t)
	if text := log.String(); strings.Contains(text, "Provisioner:") ||
		!strings.Contains(text, "local-build: cache hit for") {
		t.Errorf("the log is\n%s", text)
	}
}
