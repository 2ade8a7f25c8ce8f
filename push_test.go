package pinion

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

const pushPrefix = "registry.example/team"

var (
	pushedPinned = pushPrefix + "/workspace-template-claude-code:" + shaA[:12]
	pushedLatest = pushPrefix + "/workspace-template-claude-code:latest"
)

// taken is the refusal of a name that another image has.
func taken(ref string, cause error, labels map[string]string) error {
	return &imagestore.Error{Op: "push", Origin: imagestore.OriginRegistry, Ref: ref,
		Err: &imagestore.TakenError{Digest: "sha256:other", Labels: labels, Err: cause}}
}

// TestPushOfFixedTags: a name that the registry keeps for another image is a warning if that is
// latest, or an image of the same recipe. Otherwise it is an error.
func TestPushOfFixedTags(t *testing.T) {
	same := func(img imagestore.Image) map[string]string { return img.Labels }
	for _, c := range []struct {
		name    string
		ref     string
		cause   error
		labels  func(imagestore.Image) map[string]string
		pushed  []string // nil for an error
		warning string
	}{
		{name: "none", pushed: []string{pushedPinned, pushedLatest}},
		{name: "latest is fixed", ref: pushedLatest, cause: imagestore.ErrTagFixed,
			pushed: []string{pushedPinned}, warning: "does not let it move"},
		{name: "latest is denied", ref: pushedLatest, cause: imagestore.ErrUnauthorized,
			pushed: []string{pushedPinned}, warning: "does not let it move"},
		{name: "another build", ref: pushedPinned, cause: imagestore.ErrTagFixed, labels: same,
			pushed: []string{}, warning: "another build of the commit"},
		{name: "another build, and no right to push", ref: pushedPinned,
			cause: imagestore.ErrUnauthorized, labels: same},
		{name: "another image", ref: pushedPinned, cause: imagestore.ErrTagFixed},
		{name: "another recipe", ref: pushedPinned, cause: imagestore.ErrTagFixed,
			labels: func(imagestore.Image) map[string]string {
				return map[string]string{LabelRecipe: "sha256:another"}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			img := w.ensure(t)
			if c.ref != "" {
				var labels map[string]string
				if c.labels != nil {
					labels = c.labels(w.store.Images[img.ID])
				}
				w.store.Before = storetest.Refuse("push", c.ref, taken(c.ref, c.cause, labels))
			}
			got, err := w.Ensure(t.Context(), "claude-code", PushTo(pushPrefix))
			if c.pushed == nil {
				if !errors.Is(err, ErrRegistry) || !errors.Is(err, c.cause) {
					t.Errorf("error %v", err)
				}
				if len(w.store.Pushed) != 0 {
					t.Errorf("latest was pushed without the commit: %v", w.store.Pushed)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			pushed := []string{}
			for _, p := range got.Pushed {
				pushed = append(pushed, p.Reference)
			}
			if !slices.Equal(pushed, c.pushed) || len(w.store.Pushed) != len(c.pushed) {
				t.Errorf("pushed %v, the receipt has %v, want %v", w.store.Pushed, pushed, c.pushed)
			}
			if text := strings.Join(got.Warnings, "\n"); !strings.Contains(text, c.warning) ||
				(c.warning == "") != (text == "") {
				t.Errorf("warnings %q, want %q", text, c.warning)
			}
		})
	}
}

// TestAFailedPushSaysWhatWentOut before it.
func TestAFailedPushSaysWhatWentOut(t *testing.T) {
	w := newWorld(t)
	down := &imagestore.Error{Op: "push", Origin: imagestore.OriginRegistry, Ref: pushedLatest,
		Err: imagestore.ErrUnavailable}
	w.store.Before = storetest.Refuse("push", pushedLatest, down)
	_, err := w.Ensure(t.Context(), "claude-code", PushTo(pushPrefix))
	partial, ok := errors.AsType[*PushError](err)
	if !ok || len(partial.Pushed) != 1 || partial.Pushed[0].Reference != pushedPinned {
		t.Fatalf("error %v", err)
	}
	if ClassOf(err) != ClassUnreachable || !errors.Is(err, ErrRegistry) ||
		!strings.Contains(err.Error(), pushedPinned+"@"+partial.Pushed[0].Digest) {
		t.Errorf("class %s: %v", ClassOf(err), err)
	}
	w.store.Before = storetest.Refuse("push", "", down)
	_, err = w.Ensure(t.Context(), "claude-code", PushTo(pushPrefix))
	if _, ok := errors.AsType[*PushError](err); ok || !errors.Is(err, ErrRegistry) {
		t.Errorf("nothing was pushed: %v", err)
	}
}

// TestPushEvents come after the build's, with the bytes so far.
func TestPushEvents(t *testing.T) {
	w := newWorld(t)
	w.store.Progress = []imagestore.Progress{{Status: "a: Pushing"}, {Bytes: 5}, {Bytes: 12}}
	var events []string
	w.ensure(t, PushTo(pushPrefix), OnEvent(func(e Event) {
		switch {
		case e.Type == EventDone:
			events = append(events, "done")
		case e.Type == EventPushing && e.Name == "claude-code" && !e.Time.IsZero():
			events = append(events, fmt.Sprintf("%s %d", e.Reference, e.Bytes))
		}
	}))
	if len(events) < 5 || events[0] != "done" || events[1] != pushedPinned+" 0" ||
		!slices.Contains(events, pushedPinned+" 12") ||
		events[len(events)-1] != pushedLatest+" 12" {
		t.Errorf("events %q", events)
	}
}

// TestAStalledTransferEnds, a pull and a push, with the class of a registry that is away.
func TestAStalledTransferEnds(t *testing.T) {
	for _, op := range []string{"pull", "push"} {
		synctest.Test(t, func(t *testing.T) {
			opts := []Option{WithStallAfter(time.Minute)}
			if op == "pull" {
				opts = append(opts, OptionsFromEnv(environment(map[string]string{
					"MOLECULE_IMAGE_REGISTRY": registryPrefix})))
			}
			w := newWorld(t, opts...)
			w.Orchestrator.store = func() (imagestore.Store, error) {
				return hangingStore{w.store}, nil
			}
			var calls []EnsureOption
			if op == "push" {
				calls = append(calls, PushTo(pushPrefix))
			}
			begun := time.Now()
			_, err := w.Ensure(t.Context(), "claude-code", calls...)
			if ClassOf(err) != ClassUnreachable || !errors.Is(err, ErrRegistry) ||
				!errors.Is(err, ErrStalled) {
				t.Errorf("%s: class %s: %v", op, ClassOf(err), err)
			}
			if s, _ := errdef.SituationOf(err); s != errdef.TransferStalled {
				t.Errorf("%s: situation %q", op, s)
			}
			if took := time.Since(begun); took < time.Minute || took > 2*time.Minute {
				t.Errorf("%s: it took %s", op, took)
			}
		})
	}
}

// TestPushWithoutLocks goes on, as the build does.
func TestPushWithoutLocks(t *testing.T) {
	w := newWorld(t)
	dir, err := w.records()
	if err != nil {
		t.Fatal(err)
	}
	// A file in the place of the folder stands for a disk that is full or read-only.
	if err := os.WriteFile(filepath.Join(dir.Path(), "locks"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	img := w.ensure(t, PushTo(pushPrefix))
	if len(img.Pushed) != 2 || len(img.Warnings) == 0 {
		t.Errorf("%+v", img)
	}
}

// hangingStore neither pulls nor pushes until the context ends.
type hangingStore struct{ fakeStore }

func (s hangingStore) Pull(
	ctx context.Context, _, _ string, _ func(imagestore.Progress),
) error {
	<-ctx.Done()
	return &imagestore.Error{Op: "pull", Origin: imagestore.OriginDocker, Err: ctx.Err()}
}

func (s hangingStore) Push(
	ctx context.Context, _ imagestore.Push, _ func(imagestore.Progress),
) (string, error) {
	<-ctx.Done()
	return "", &imagestore.Error{Op: "push", Origin: imagestore.OriginDocker, Err: ctx.Err()}
}
