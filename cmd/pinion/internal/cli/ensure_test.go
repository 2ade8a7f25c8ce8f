package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestEnsurePrintsReferences(t *testing.T) {
	got := call(t.Context(), twoGood(), "ensure", "two", "one")
	want := image("two").Reference + "\n" + image("one").Reference + "\n"
	if got != (run{0, want, ""}) {
		t.Errorf("got %+v", got)
	}
}

func TestEnsureQuietPrintsIDs(t *testing.T) {
	f := twoGood()
	img := image("two")
	img.Warnings = []string{"something"}
	f.results["two"] = result{image: img}
	got := callWith(t.Context(), f, map[string]string{"BUILDKIT_PROGRESS": "plain"}, "ensure",
		"-q", "one", "two")
	if got != (run{0, "sha256:one\nsha256:two\n", "pinion: warning: two: something\n"}) {
		t.Errorf("got %+v", got)
	}
}

func TestEnsureJSON(t *testing.T) {
	got := call(t.Context(), twoGood(), "ensure", "--format", "json", "one", "two")
	golden(t, "ensure.json", got.stdout)
	if got.code != 0 || got.stderr != "" {
		t.Errorf("got %+v", got)
	}
}

// The first argument's result is printed while the second still runs, and always before it.
func TestEnsureKeepsTheOrderOfTheArguments(t *testing.T) {
	f := twoGood()
	f.gates = map[string]chan struct{}{"one": make(chan struct{}), "two": make(chan struct{})}
	out, in := io.Pipe()
	p := program(f, nil, nil, &bytes.Buffer{})
	p.Stdout = in
	done := make(chan int)
	go func() { done <- Run(t.Context(), p, []string{"ensure", "one", "two"}) }()

	buf := make([]byte, 200)
	for _, name := range []string{"one", "two"} {
		close(f.gates[name])
		n, err := out.Read(buf)
		if want := image(name).Reference + "\n"; err != nil || string(buf[:n]) != want {
			t.Fatalf("got %q, %v, want %q", buf[:n], err, want)
		}
	}
	if code := <-done; code != 0 {
		t.Errorf("code %d", code)
	}

	f.gates["one"] = make(chan struct{}) // "two" is done at once now
	go func() { done <- Run(t.Context(), p, []string{"ensure", "one", "two"}) }()
	close(f.gates["one"])
	if n, _ := out.Read(buf); string(buf[:n]) != image("one").Reference+"\n" {
		t.Errorf("first came %q", buf[:n])
	}
	_, _ = out.Read(buf)
	<-done
}

func TestEnsureFailures(t *testing.T) {
	for name, c := range map[string]struct {
		results map[string]result
		code    int
	}{
		"the first decides": {map[string]result{
			"one": failed("one", pinion.OriginDocker, fmt.Errorf("%w: gone", pinion.ErrStore)),
			"two": failed("two", pinion.OriginGit, pinion.ErrUnauthorized),
		}, 14},
		"one does not stop the other": {map[string]result{
			"one": {image: image("one")},
			"two": failed("two", pinion.OriginGit, pinion.ErrUnauthorized),
		}, 11},
	} {
		t.Run(name, func(t *testing.T) {
			f := twoGood()
			f.results = c.results
			got := call(t.Context(), f, "ensure", "one", "two")
			if got.code != c.code ||
				!strings.Contains(got.stderr, "pinion: error: two: git server: not authorized") {
				t.Errorf("got %+v", got)
			}
			if ok := c.results["one"].err == nil; ok != strings.Contains(got.stdout,
				image("one").Reference) {
				t.Errorf("stdout %q", got.stdout)
			}
		})
	}
}

func TestEnsureErrorObjects(t *testing.T) {
	f := twoGood()
	f.results["one"] = failed("one", pinion.OriginGit,
		fmt.Errorf("git server %w: \x1b[2J\u202etxt", pinion.ErrUnavailable))
	got := call(t.Context(), f, "ensure", "--format=json", "one", "two")
	if got.code != 12 || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("got %+v", got)
	}
	golden(t, "ensure-error.json", got.stderr)
	var object failure
	if err := json.Unmarshal([]byte(got.stderr), &object); err != nil {
		t.Errorf("%q: %v", got.stderr, err)
	}
}

func TestEnsureUsageErrorAsObject(t *testing.T) {
	got := call(t.Context(), nil, "ensure", "--format=json")
	var object failure
	if err := json.Unmarshal([]byte(got.stderr), &object); err != nil || object.Code != 64 ||
		got.code != 64 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A typo in one name must not build the others.
func TestEnsureChecksAllNamesFirst(t *testing.T) {
	f := twoGood()
	got := call(t.Context(), f, "ensure", "one", "tow", "two", "three")
	if got.code != 10 || got.stdout != "" || !strings.Contains(got.stderr, "tow") ||
		!strings.Contains(got.stderr, "three") {
		t.Errorf("got %+v", got)
	}
	slices.Sort(f.requested)
	if !slices.Equal(f.requested, []string{"three", "tow"}) {
		t.Errorf("asked for %v", f.requested)
	}
}

func TestFault01_NamesStartingWithADashAreNoFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"ensure", "--", "-x"}, 10},
		{[]string{"ensure", "one", "--", "--upload-pack=x"}, 10},
		{[]string{"ensure", "--upload-pack=x"}, 64},
		{[]string{"ensure", "-x"}, 64},
		{[]string{"resolve", "-x"}, 64},
	} {
		f := twoGood()
		got := call(t.Context(), f, c.args...)
		if got.code != c.code || got.stdout != "" || slices.Contains(f.requested, "one") {
			t.Errorf("%v: got %+v", c.args, got)
		}
	}
}

func TestFault27_TokenIsNeverPrinted(t *testing.T) {
	leak := fmt.Errorf("%w: the server said %s and https://u:%[2]s@x/y", pinion.ErrUnavailable,
		canary, canary)
	f := twoGood()
	f.results["one"] = failed("one", pinion.OriginGit, leak)
	img := image("two")
	img.Warnings = []string{"not moved: " + canary}
	f.results["two"] = result{image: img}
	f.err = leak
	f.checks = []pinion.Check{{Name: "git server", Status: pinion.StatusFail, Detail: leak.Error()}}
	for _, args := range [][]string{
		{"ensure", "one", "two"}, {"ensure", "one", "two", "--progress=rawjson"},
		{"ensure", "one", "--format=json"},
		{"resolve", "one"}, {"ls"}, {"doctor"}, {"doctor", "--format=json"},
	} {
		got := call(t.Context(), f, args...)
		if got.code == 0 || strings.Contains(got.stdout+got.stderr, canary) {
			t.Errorf("%v: got %+v", args, got)
		}
	}
}

func TestFault27_TokenInAnErrorBeforeThereIsAnOrchestrator(t *testing.T) {
	var stderr bytes.Buffer
	p := program(nil, map[string]string{"MOLECULE_GITEA_TOKEN": canary}, &bytes.Buffer{}, &stderr)
	p.Open = func(...pinion.Option) (Orchestrator, error) {
		return nil, errors.New("bad " + canary)
	}
	if code := Run(t.Context(), p, []string{"ls"}); code != 1 ||
		stderr.String() != "pinion: error: bad ***\n" {
		t.Errorf("%d %q", code, stderr.String())
	}
}

func TestFault58_EscapesInErrorsAndTables(t *testing.T) {
	f := twoGood()
	evil := "\x1b]0;title\x07 \u202eevil"
	f.results["one"] = failed("one", pinion.OriginGit, errors.New(evil))
	f.checks = []pinion.Check{{Name: "engine", Status: pinion.StatusOK, Detail: evil}}
	f.built = []pinion.Built{{Name: evil}}
	for _, args := range [][]string{{"ensure", "one"}, {"doctor"}, {"ls"}, {"ls", "--format=json"},
		{"ensure", "\x1b[2J"}} {
		got := call(t.Context(), f, args...)
		if strings.ContainsAny(got.stdout+got.stderr, "\x1b\x07\u202e") {
			t.Errorf("%v: got %+v", args, got)
		}
	}
}

func TestEnsureCancelled(t *testing.T) {
	for format, want := range map[string]string{
		"text": "pinion: error: cancelled\n",
		"json": `{"schema":1,"name":"one","error":"cancelled","exit_code":130}` + "\n" +
			`{"schema":1,"name":"two","error":"cancelled","exit_code":130}` + "\n",
	} {
		f := twoGood()
		f.gates = map[string]chan struct{}{"one": make(chan struct{}), "two": make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := call(
			ctx, f, "ensure", "--format", format, "one", "two",
		); got != (run{130, "", want}) {
			t.Errorf("%s: got %+v", format, got)
		}
	}
}

func TestEnsureWarns(t *testing.T) {
	rev, err := git.ParseRevision(strings.Repeat("ab", 20))
	if err != nil {
		t.Fatal(err)
	}
	f := twoGood()
	img := image("one")
	img.Warnings, img.SupersededBy = []string{"built without a lock"}, rev
	f.results["one"] = result{image: img}
	got := call(t.Context(), f, "ensure", "one")
	golden(t, "ensure-warnings.txt", got.stderr)
	if got := call(t.Context(), f, "ensure", "--log-level=error", "one"); got.stderr != "" {
		t.Errorf("stderr %q", got.stderr)
	}
}

func TestErrorsComeWithAdvice(t *testing.T) {
	f := twoGood()
	f.results["one"] = failed("one", pinion.OriginDocker,
		fmt.Errorf("%w: %w", pinion.ErrStore, imagestore.ErrUnavailable))
	got := call(t.Context(), f, "ensure", "one")
	if !strings.HasSuffix(got.stderr,
		"\npinion: run `pinion doctor` to see what works and what does not\n") {
		t.Errorf("stderr %q", got.stderr)
	}
	if got := call(
		t.Context(), f, "ensure", "--nope",
	); !strings.Contains(got.stderr, "run `pinion ensure --help`") {
		t.Errorf("stderr %q", got.stderr)
	}
}

// TestCredentialOnTheCut: a long error is redacted before it is cut.
func TestCredentialOnTheCut(t *testing.T) {
	f := twoGood()
	for n := range len(canary) {
		f.results["one"] = result{err: errors.New(strings.Repeat("-", n) +
			strings.Repeat(canary, errtext.MaxBytes))}
		for _, format := range []string{"json", "text"} {
			got := call(t.Context(), f, "ensure", "--format", format, "one")
			if strings.Contains(got.stderr, canary[:4]) ||
				strings.Contains(got.stderr, canary[len(canary)-4:]) ||
				len(got.stderr) > 2*errtext.MaxBytes {
				t.Errorf("%d before: %s", n, got.stderr)
			}
		}
	}
}

// TestEnsureShowsWhatAFailedStepPrinted where no display does, and in JSON.
func TestEnsureShowsWhatAFailedStepPrinted(t *testing.T) {
	f := twoGood()
	f.results["one"] = failed("one", pinion.OriginBuildKit, fmt.Errorf("%w: %w", pinion.ErrBuild,
		&pinion.StepError{Step: "[2/2] RUN make", Log: []string{"first", "uses " + canary},
			Err: errors.New("failed")}))
	for _, args := range [][]string{{"-q"}, {"--progress", "quiet"}} {
		got := call(t.Context(), f, append([]string{"ensure", "one"}, args...)...)
		if got.code != 20 || !strings.Contains(got.stderr, "\n  | first\n  | uses ***\n") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := call(t.Context(), f, "ensure", "one"); strings.Contains(got.stderr, "first") {
		t.Errorf("the display shows it already: %+v", got)
	}
	if got := call(
		t.Context(), f, "ensure", "--format", "json", "one",
	); !strings.Contains(got.stderr, `"log":["first","uses ***"]`) {
		t.Errorf("got %+v", got)
	}
}

// TestEnsureShowsTheChecksOfAFailure, also with -q, and in JSON.
func TestEnsureShowsTheChecksOfAFailure(t *testing.T) {
	f := twoGood()
	f.results["one"] = result{err: &pinion.Error{Name: "one", Origin: pinion.OriginBuildKit,
		Checks: []pinion.BuildCheck{{Rule: "A", Text: "uses " + canary, File: "f", Line: 3}},
		Err:    pinion.ErrBuild}}
	for _, args := range [][]string{{"one"}, {"-q", "one"}} {
		got := call(t.Context(), f, append([]string{"ensure"}, args...)...)
		if got.code != 20 || !strings.HasPrefix(got.stderr,
			"pinion: warning: one: f:3: A: uses ***\npinion: error: one: ") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	got := call(t.Context(), f, "ensure", "--format", "json", "one")
	if !strings.Contains(got.stderr,
		`"checks":[{"rule":"A","text":"uses ***","file":"f","line":3}]`) {
		t.Errorf("got %+v", got)
	}
}

// TestRecordsOfResultsAreDropped: the verb shows results itself.
func TestRecordsOfResultsAreDropped(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(withoutResults{slog.NewTextHandler(&text, nil)}).With("a", 1).WithGroup("g")
	log.Warn("in the result", pinion.LogInResult, true)
	log.Warn("not in it", "b", 2)
	if got := text.String(); strings.Contains(got, "in the result") ||
		!strings.Contains(got, "not in it") || !strings.Contains(got, "a=1 g.b=2") {
		t.Errorf("log is %q", got)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestEnsureStdoutThatBreaks(t *testing.T) {
	var stderr bytes.Buffer
	p := program(twoGood(), nil, nil, &stderr)
	p.Stdout = brokenWriter{}
	if code := Run(t.Context(), p, []string{"ensure", "one"}); code != 1 ||
		!strings.Contains(stderr.String(), "stdout: ") {
		t.Errorf("%d %q", code, stderr.String())
	}
}
