package pinion

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

var (
	lint = BuildCheck{Rule: "StageNameCasing", Text: "Stage name 'A'", Detail: "lowercase",
		URL: "https://docs.example", File: "Dockerfile", Line: 1}
	platformCheck = BuildCheck{Rule: buildkit.RuleBasePlatform, Text: "of linux/386",
		File: "Dockerfile", Line: 2}
)

// TestChecksReachTheCaller in events, receipt and log; a hit has them from the record, and warns
// of what the image holds alone.
func TestChecksReachTheCaller(t *testing.T) {
	w := newWorld(t)
	w.builder.checks = []BuildCheck{lint, platformCheck}
	var events []Event
	img := w.ensure(t, OnEvent(func(e Event) { events = append(events, e) }))
	if !slices.Equal(img.Checks, w.builder.checks) || !slices.Equal(img.Warnings,
		[]string{lint.String(), platformCheck.String()}) {
		t.Errorf("the receipt has %+v and %q", img.Checks, img.Warnings)
	}
	var seen []BuildCheck
	for _, e := range events {
		if e.Type == EventCheck {
			seen = append(seen, *e.Check)
			if e.Text != e.Check.String() {
				t.Errorf("the event's text is %q", e.Text)
			}
		}
	}
	if !slices.Equal(seen, w.builder.checks) {
		t.Errorf("the events have %+v", seen)
	}
	if log := w.log.String(); log != "" {
		t.Errorf("log %q", log)
	}
	hit := w.ensure(t)
	if hit.Outcome != OutcomeHit || !reflect.DeepEqual(hit.Checks, img.Checks) ||
		!slices.Equal(hit.Warnings, []string{platformCheck.String()}) {
		t.Errorf("the hit has %+v and %q", hit.Checks, hit.Warnings)
	}
}

// TestChecksOfAFailure: what BuildKit remarks may be why a build fails.
func TestChecksOfAFailure(t *testing.T) {
	w := newWorld(t)
	w.builder.checks = []BuildCheck{lint}
	w.builder.wait = func(context.Context) error { return buildkit.ErrBuild }
	var last Event
	_, err := w.Ensure(t.Context(), "claude-code", OnEvent(func(e Event) { last = e }))
	var failed *Error
	if !errors.As(err, &failed) || !slices.Equal(failed.Checks, w.builder.checks) ||
		!slices.Equal(failed.Warnings(), []string{lint.String()}) {
		t.Errorf("error is %+v", failed)
	}
	if last.Failure == nil || !slices.Equal(last.Failure.Checks, w.builder.checks) {
		t.Errorf("the last event is %+v", last)
	}
}

// TestManyChecks: people get the first.
func TestManyChecks(t *testing.T) {
	w := newWorld(t)
	for i := range 51 {
		w.builder.checks = append(w.builder.checks, BuildCheck{Text: fmt.Sprint(i)})
	}
	img := w.ensure(t)
	if len(img.Checks) != 51 || len(img.Warnings) != maxCheckWarnings+1 ||
		!strings.Contains(img.Warnings[maxCheckWarnings], "41 more") {
		t.Errorf("%d checks, warnings %q", len(img.Checks), img.Warnings)
	}
}
