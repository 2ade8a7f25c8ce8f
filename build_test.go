package pinion

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

func types(events []Event) (names []EventType) {
	for _, e := range events {
		names = append(names, e.Type)
	}
	return names
}

func TestEventsOfABuildAndOfAHit(t *testing.T) {
	w := newWorld(t)
	for _, want := range [][]EventType{
		{EventResolved, EventNotice, EventFetching, EventNotice, EventDone},
		{EventResolved, EventHit, EventDone},
	} {
		var events []Event
		img := w.ensure(t, OnEvent(func(e Event) { events = append(events, e) }))
		if got := types(events); !slices.Equal(got, want) {
			t.Fatalf("got %v, not %v", got, want)
		}
		for i, e := range events {
			if e.ID != int64(i+1) || e.Name != "claude-code" || e.Time.IsZero() {
				t.Errorf("event %d is %+v", i, e)
			}
		}
		if first := events[0]; first.Revision != img.Revision || first.Reference != img.Reference {
			t.Errorf("resolved to %+v", first)
		}
		if last := events[len(events)-1]; last.Image == nil || last.Image.ID != img.ID ||
			last.Image.Outcome != img.Outcome {
			t.Errorf("ended with %+v", last)
		}
	}
}

func TestEventsOfAFailure(t *testing.T) {
	w := newWorld(t)
	var events []Event
	on := OnEvent(func(e Event) { events = append(events, e) })
	w.builder.wait = func(context.Context) error {
		return &buildkit.Error{Op: "build", Kind: ErrBuild, Err: errors.New("no \x1b[31mluck")}
	}
	if _, err := w.Ensure(t.Context(), "claude-code", on); !errors.Is(err, ErrBuild) {
		t.Fatal(err)
	}
	w.heads.err = &resolver.Error{Op: "look up", Err: ErrUnauthorized}
	if _, err := w.Ensure(t.Context(), "claude-code", on); !errors.Is(err, ErrUnauthorized) {
		t.Fatal(err)
	}
	want := []EventType{EventResolved, EventNotice, EventFetching, EventFailed, EventFailed}
	if got := types(events); !slices.Equal(got, want) {
		t.Fatalf("got %v", got)
	}
	atBuild, atGit := events[3].Failure, events[4].Failure
	if atBuild.Class != ClassBuild || atBuild.Origin != OriginBuildKit ||
		strings.Contains(atBuild.Message, "\x1b") {
		t.Errorf("the build's failure is %+v", atBuild)
	}
	if atGit.Class != ClassUnauthorized || atGit.Origin != OriginGit {
		t.Errorf("the git server's failure is %+v", atGit)
	}
}

// TestSignsOfLife: a first build says what to expect, a quiet step that it goes on, and a hit that
// there is nothing to build.
func TestSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := newWorld(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		w.builder.wait = func(context.Context) error {
			now := time.Now()
			w.builder.built[0].Progress(&client.SolveStatus{Vertexes: []*client.Vertex{{
				Digest: digest.FromString("s"), Name: "[ 5/12] RUN npm install", Started: &now}}})
			time.Sleep(50 * time.Second)
			return nil
		}
		var events []Event
		w.ensure(t, OnEvent(func(e Event) { events = append(events, e) }))
		want := []EventType{EventResolved, EventNotice, EventFetching, EventStep,
			EventStillBuilding, EventStillBuilding, EventNotice, EventDone}
		if got := types(events); !slices.Equal(got, want) {
			t.Fatalf("got %v", got)
		}
		if e := events[5]; e.Step == nil || e.Step.Number != 1 || e.Elapsed != 40_000 ||
			e.Text != "still building claude-code: step 5/12 RUN npm install, 40 s" {
			t.Errorf("%+v", e)
		}
		time.Sleep(time.Hour)
		w.ensure(t)
		for _, line := range []string{
			"local-build: first build of claude-code, which may take minutes; linux/amd64 is " +
				"emulated on linux/arm64, which is slow; " +
				"MOLECULE_IMAGE_PLATFORM=native would be faster",
			events[4].Text, events[5].Text,
			"local-build: cache hit for claude-code (sha=aaaaaaaaaaaa), nothing to build",
		} {
			if strings.Count(log.String(), line) != 1 {
				t.Errorf("not once in the log: %q\n%s", line, &log)
			}
		}
	})
}

// TestAMissingPlatformIsAnnounced, and doctor warns of it.
func TestAMissingPlatformIsAnnounced(t *testing.T) {
	w := newWorld(t)
	w.builder.lacks = &buildkit.Error{Op: "connect", Kind: ErrPlatform,
		Err: errors.New("cannot run linux/amd64")}
	var notice string
	w.ensure(t, OnEvent(func(e Event) {
		if e.Type == EventNotice && notice == "" {
			notice = e.Text
		}
	}))
	if !strings.HasSuffix(notice, "the builder runs linux/arm64 and not linux/amd64, so a step "+
		"that runs a program of that platform will fail") {
		t.Errorf("the notice is %q", notice)
	}
	got := checkNamed(t, w.Doctor(t.Context()), "platform")
	if got.Status != StatusWarn || !errors.Is(got.Err, ErrPlatform) ||
		!strings.Contains(got.Detail, "cannot run linux/amd64") {
		t.Errorf("got %+v", got)
	}
}

// TestOnlyAFirstBuildIsAnnounced, and the platform is advised on only where it can be chosen.
func TestOnlyAFirstBuildIsAnnounced(t *testing.T) {
	notices := func(w *world) (texts []string) {
		w.ensure(t, OnEvent(func(e Event) {
			if e.Type == EventNotice {
				texts = append(texts, e.Text)
			}
		}))
		return texts
	}
	w := newWorld(t, WithPlatform(NativePlatform))
	first := notices(w)
	w.heads.sha = shaB
	const pinning = "local-build: pinning RUNTIME_VERSION=1.2.3 from .runtime-version for " +
		"claude-code"
	if next := notices(w); !slices.Equal(next, []string{pinning}) || !slices.Equal(first,
		[]string{"local-build: first build of claude-code, which may take minutes", pinning}) {
		t.Errorf("first %q, then %q", first, next)
	}
}

// TestFault59_WhatATemplateCallsItsSteps: long names are cut, and thousands of steps may be dropped
// as lines are.
func TestFault59_WhatATemplateCallsItsSteps(t *testing.T) {
	w := newWorld(t)
	b := newBuild(Event{Type: EventResolved, Name: "x"}, w.clean)
	s := newSteps(func(buildkit.Progress) {}, b.emit)
	now := time.Now()
	for i := range 20_000 {
		s.Update(&client.SolveStatus{Vertexes: []*client.Vertex{{
			Digest: digest.FromString(fmt.Sprint(i)), Name: strings.Repeat("n", 100_000),
			Started: &now,
		}}})
	}
	b.end(t.Context(), Image{}, nil)
	size := 0
	for e := range b.Events(t.Context(), 0) {
		if e.Step != nil {
			size += len(e.Step.Name)
		}
	}
	if size > 2<<20 {
		t.Errorf("%d bytes of names are kept", size)
	}
}

func TestALateCallerHearsWhatWasBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		finish := make(chan struct{})
		w.builder.wait = func(context.Context) error { <-finish; return nil }
		first, err := w.Start(t.Context(), "claude-code")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		late, err := w.Start(t.Context(), "claude-code")
		if err != nil {
			t.Fatal(err)
		}
		if first.Build() != late.Build() || first.Hit() || late.Hit() {
			t.Error("the build is not shared")
		}
		close(finish)
		var events []Event
		for e := range late.Build().Events(t.Context(), 0) {
			events = append(events, e)
		}
		want := []EventType{EventResolved, EventNotice, EventFetching, EventNotice, EventDone}
		if got := types(events); !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		a, errA := first.Wait(t.Context())
		b, errB := late.Wait(t.Context())
		if errA != nil || errB != nil || a.ID != b.ID {
			t.Errorf("%v, %v", errA, errB)
		}
		if a.Builder == b.Builder || a.Fetch == b.Fetch {
			t.Error("two callers can write into one receipt")
		}
	})
}

func TestMaxParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, WithMaxParallel(2))
		var mu sync.Mutex
		running, most := 0, 0
		release := make(chan struct{})
		w.builder.wait = func(context.Context) error {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-release
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		}
		names := w.Names()[:5]
		positions := map[string][]int{}
		var all sync.WaitGroup
		for _, name := range names {
			all.Go(func() {
				_, err := w.Ensure(t.Context(), name, OnEvent(func(e Event) {
					mu.Lock()
					defer mu.Unlock()
					if e.Type == EventQueued {
						positions[name] = append(positions[name], e.Position)
					}
				}))
				if err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		for range names {
			release <- struct{}{}
			synctest.Wait()
		}
		all.Wait()
		if most != 2 {
			t.Errorf("%d builds at once", most)
		}
		if got := positions[names[4]]; !slices.Equal(got, []int{3, 2, 1}) {
			t.Errorf("the last one's positions are %v", got)
		}
	})
}

// TestFault49And50_WhoLeaves: a caller that leaves disturbs no other, also in the queue, and the
// last one ends the build.
func TestFault49And50_WhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.builder.wait = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		a, errA := w.Start(t.Context(), "claude-code")
		b, errB := w.Start(t.Context(), "claude-code")
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		build := a.Build()
		a.Leave()
		synctest.Wait()
		select {
		case <-build.Done():
			t.Fatal("the first to leave ended the build")
		default:
		}
		b.Leave()
		<-build.Done()
		if _, err := build.Result(); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		events := slices.Collect(build.Events(t.Context(), 0))
		if last := events[len(events)-1]; last.Type != EventFailed ||
			last.Failure.Class != ClassCancelled {
			t.Errorf("the last event is %+v", last)
		}
		w.builder.wait = nil
		w.ensure(t)
	})
}

// TestFault59_AFloodOfOutputIsBounded: 100 MB of lines and no reader.
func TestFault59_AFloodOfOutputIsBounded(t *testing.T) {
	w := newWorld(t)
	b := newBuild(Event{Type: EventResolved, Name: "x"}, w.clean)
	line := strings.Repeat("x", 1000)
	for range 1 << 17 {
		b.emit(Event{Type: EventLog, Text: line})
	}
	b.end(t.Context(), Image{}, nil)
	events := slices.Collect(b.Events(t.Context(), 0))
	if len(events) > maxEventBytes/1000 || events[0].Type != EventResolved ||
		events[len(events)-1].Type != EventDone {
		t.Errorf("%d events from %s to %s", len(events), events[0].Type, events[len(events)-1].Type)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d bytes are held", m.HeapAlloc)
	}
}

// TestFault59_AStepThatChangesWithoutEnd: a builder that completes and starts a step 100,000 times.
func TestFault59_AStepThatChangesWithoutEnd(t *testing.T) {
	w := newWorld(t)
	b := newBuild(Event{Type: EventResolved, Name: "x"}, w.clean)
	states := []StepState{StepStarted, StepDone}
	for i := range 100_000 {
		b.emit(Event{Type: EventStep, Step: &Step{Number: 7, Name: "RUN true",
			State: states[i%len(states)]}})
	}
	b.end(t.Context(), Image{}, nil)
	events := slices.Collect(b.Events(t.Context(), 0))
	last := events[len(events)-2]
	if len(events) > maxEventBytes/200+maxChanges+2 || last.Step == nil ||
		last.Step.State != StepDone {
		t.Errorf("%d events, the last but one is %+v", len(events), last)
	}
}

// TestCallersWhoWantSomethingElseDoNotShare: who asked for a build without the cache, for newer
// base images or for a commit must not get another caller's build.
func TestCallersWhoWantSomethingElseDoNotShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		finish := make(chan struct{})
		w.builder.wait = func(context.Context) error { <-finish; return nil }
		builds := map[*Build]string{}
		var calls []*Call
		for name, opts := range map[string][]EnsureOption{
			"plain": nil, "no cache": {NoCache()}, "pull": {Pull()},
			"a commit": {AtRevision(revision(t, shaA), false)},
		} {
			call, err := w.Start(t.Context(), "claude-code", opts...)
			if err != nil {
				t.Fatal(err)
			}
			if other, shared := builds[call.Build()]; shared {
				t.Errorf("%q and %q share a build", name, other)
			}
			builds[call.Build()] = name
			calls = append(calls, call)
		}
		close(finish)
		for _, c := range calls {
			if _, err := c.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
