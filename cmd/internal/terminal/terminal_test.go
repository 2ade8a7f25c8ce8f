package terminal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// step is a vertex that has ended; failure is its error, or empty.
func step(name, failure string) *client.SolveStatus {
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	end := begin.Add(time.Second)
	return &client.SolveStatus{Vertexes: []*client.Vertex{{
		Digest: digest.FromString(name), Name: name, Started: &begin, Completed: &end,
		Error: failure,
	}}}
}

// says is a running vertex that prints.
func says(name, text string) *client.SolveStatus {
	s := step(name, "")
	s.Vertexes[0].Completed = nil
	s.Logs = []*client.VertexLog{{
		Vertex: s.Vertexes[0].Digest, Data: []byte(text), Timestamp: *s.Vertexes[0].Started,
	}}
	return s
}

func open(t *testing.T, mode Mode, opts ...Option) (*Terminal, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	term, err := New(&out, mode, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return term, &out
}

func shut(t *testing.T, term *Terminal) {
	t.Helper()
	if err := term.Close(); err != nil {
		t.Error(err)
	}
}

func TestPlainKeepsTheOrderOfStepsAndLines(t *testing.T) {
	term, out := open(t, Auto)
	log := term.Logger(slog.LevelInfo)
	log.Info("solving", "url", "not shown")
	log.Debug("not shown")
	term.Progress("one", step("first", ""))
	log.Info("between")
	term.Progress("one", says("second", "half a li"))
	log.Warn("odd")
	term.Progress("one", says("second", "ne\n"))
	term.Progress("one", step("second", ""))
	shut(t, term)
	log.Info("after")
	want := `solving
#1 first
#1 DONE 1.0s
between

#2 second
#2 0.000 half a li
pinion: warning: odd
ne
#2 DONE 1.0s
after
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// BuildKit's display repeats the log of a failed step each time it ends, so it must end once.
func TestPlainShowsAFailedStepOnce(t *testing.T) {
	term, out := open(t, Plain)
	term.Progress("one", says("RUN make", "no such file\n"))
	term.Progress("one", step("RUN make", "exit code 2"))
	fmt.Fprintln(term.Stderr(), "pinion: error: first")
	fmt.Fprintln(term.Stderr(), "pinion: error: second")
	shut(t, term)
	got := out.String()
	if strings.Count(got, " > RUN make") != 1 ||
		!strings.HasSuffix(got, "------\npinion: error: first\npinion: error: second\n") {
		t.Errorf("got:\n%s", got)
	}
}

func TestQuietShowsLinesAlone(t *testing.T) {
	term, out := open(t, Quiet)
	term.Progress("one", step("first", ""))
	term.Logger(slog.LevelInfo).Info("line")
	shut(t, term)
	if out.String() != "line\n" {
		t.Errorf("got %q", out.String())
	}
}

func TestRawJSONIsJSONThroughout(t *testing.T) {
	term, out := open(t, RawJSON, WithMask(func(s string) string {
		return strings.ReplaceAll(s, "secret", "***")
	}))
	log := term.Logger(slog.LevelInfo)
	log.Info("the secret", "err", errors.New("secret"))
	term.Progress("one", step("first", ""))
	log.WithGroup("g").Info("x", "key", "secret")
	shut(t, term)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) || strings.Contains(line, "secret") {
			t.Errorf("got %s", line)
		}
	}
	if len(lines) != 3 || !strings.Contains(lines[1], `"vertexes"`) {
		t.Errorf("got %q", lines)
	}
}

func TestNothingIsShownBeforeThereIsSomething(t *testing.T) {
	term, out := open(t, Plain)
	shut(t, term)
	term.Progress("one", step("too late", ""))
	if term.display != nil || out.Len() != 0 {
		t.Errorf("display %v, output %q", term.display, out.String())
	}
}

func TestNamesKeepBuildsApart(t *testing.T) {
	term, out := open(t, Plain, WithNames())
	shared := step("COPY --link", "")
	shared.Vertexes[0].ProgressGroup = &pb.ProgressGroup{Id: "g", Name: "group"}
	for _, name := range []string{"one", "two"} {
		term.Progress(name, step("FROM base", ""))
		term.Progress(name, shared)
	}
	shut(t, term)
	for _, want := range []string{"[one] FROM base", "[two] FROM base", "[one] group",
		"[two] group"} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("%q does not appear once:\n%s", want, out.String())
		}
	}
	if v := shared.Vertexes[0]; v.Name != "COPY --link" || v.Digest != digest.FromString(v.Name) {
		t.Errorf("the message was changed: %+v", v)
	}
}

func TestScopedReachesAll(t *testing.T) {
	d := digest.FromString("x")
	got := scoped("one", &client.SolveStatus{
		Vertexes: []*client.Vertex{{Digest: d, Inputs: []digest.Digest{d}}},
		Statuses: []*client.VertexStatus{{Vertex: d}},
		Logs:     []*client.VertexLog{{Vertex: d}},
		Warnings: []*client.VertexWarning{{Vertex: d}},
	})
	want := "one/" + d
	if got.Vertexes[0].Digest != want || got.Vertexes[0].Inputs[0] != want ||
		got.Statuses[0].Vertex != want ||
		got.Logs[0].Vertex != want || got.Warnings[0].Vertex != want {
		t.Errorf("got %+v", got)
	}
}

func TestFault58_EscapesInLogLines(t *testing.T) {
	term, out := open(t, Quiet)
	log := term.Logger(slog.LevelDebug).With("a", "\x1b[2J").WithGroup("g")
	log.Debug("pulling\npinion: error: forged", "b", "\u202e", slog.Group("h", "c", 1))
	log.Error("bad")
	want := "debug: pulling\n  pinion: error: forged a=\\x1b[2J g.b=\\u202e g.h.c=1\npinion: " +
		"error: bad a=\\x1b[2J\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBacklogIsBounded(t *testing.T) {
	var out, results bytes.Buffer
	stderr := &lineWriter{w: &out}
	var b backlog
	for i := range maxLogs + 5 {
		b.add(stderr, []byte("line\n"))
		if i%100 == 0 {
			b.add(&results, []byte("result\n"))
		}
	}
	if err := b.release(stderr); err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "line\n"); n != maxLogs ||
		!strings.HasSuffix(out.String(), "(5 more lines omitted)\n") {
		t.Errorf("%d lines", n)
	}
	if n := strings.Count(results.String(), "result\n"); n != 11 {
		t.Errorf("%d results", n)
	}
}

func TestParseMode(t *testing.T) {
	for in, want := range map[string]Mode{"": Auto, "auto": Auto, "plain": Plain, "tty": TTY,
		"quiet": Quiet, "rawjson": RawJSON} {
		if got, err := ParseMode(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	if _, err := ParseMode("loud"); err == nil {
		t.Error("loud is accepted")
	}
	if _, err := New(&bytes.Buffer{}, TTY); err == nil {
		t.Error("a buffer is accepted as a terminal")
	}
}
