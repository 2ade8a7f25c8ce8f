package history

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/feed"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// run is a build that the test drives.
type run struct {
	mu     sync.Mutex
	status pinion.BuildStatus // guarded by mu
	events *feed.Feed[pinion.Event]
	done   chan struct{}
}

func newRun(id, name string, at time.Time) *run {
	return &run{events: feed.New[pinion.Event](1 << 20), done: make(chan struct{}),
		status: pinion.BuildStatus{ID: id, Name: name, Started: at, State: pinion.BuildQueued,
			Reference: "molecule-local/workspace-template-" + name + ":0123456789ab"}}
}

func (r *run) ID() string            { return r.Status().ID }
func (r *run) Done() <-chan struct{} { return r.done }

func (r *run) Status() pinion.BuildStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *run) Events(ctx context.Context, after int64) iter.Seq[pinion.Event] {
	return r.events.After(ctx, after)
}

func (r *run) print(text string) {
	r.events.Add(0, func(n int64) pinion.Event {
		return pinion.Event{ID: n, Type: pinion.EventLog, Time: r.status.Started, Text: text}
	})
}

// runs sets the state and the builder, as the first event does.
func (r *run) runs() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.State = pinion.BuildRunning
	r.status.Builder = &buildkit.Info{Kind: buildkit.KindDocker}
}

func (r *run) end(state pinion.BuildState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.State, r.status.Ended = state, r.status.Started.Add(time.Minute)
	if state == pinion.BuildFailed {
		r.status.Failure = &pinion.Failure{Message: "it broke", Class: pinion.ClassBuild}
	}
	close(r.done)
	last := pinion.Event{Type: pinion.EventDone, Time: r.status.Ended}
	if state == pinion.BuildFailed {
		last.Type = pinion.EventFailed
	}
	r.events.Add(0, func(n int64) pinion.Event { last.ID = n; return last })
	r.events.Close()
}

// hitRun is a hit, which has ended when it is seen.
func hitRun(id, name string, at time.Time) *run {
	r := newRun(id, name, at)
	r.status.Image = &pinion.Image{ID: "sha256:1", Outcome: pinion.OutcomeHit}
	r.end(pinion.BuildDone)
	return r
}

func folder(t *testing.T, l Limits) *Dir {
	t.Helper()
	d, err := open(filepath.Join(t.TempDir(), "history"), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	d.now = func() time.Time { return start.Add(time.Hour) }
	return d
}

// again opens the folder as another process does.
func again(t *testing.T, d *Dir) *Dir {
	t.Helper()
	other, err := open(d.Path(), d.limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	other.now = d.now
	return other
}

func recorder(d *Dir, warnings *bytes.Buffer, opts ...RecorderOption) *Recorder {
	return recorderOf("ensure", d, warnings, opts...)
}

func recorderOf(
	command string, d *Dir, warnings io.Writer, opts ...RecorderOption,
) *Recorder {
	return NewRecorder(func() (*Dir, error) { return d, nil }, command,
		slog.New(slog.NewTextHandler(warnings, nil)), opts...)
}

func list(t *testing.T, d *Dir, f Filter) []Build {
	t.Helper()
	if err := d.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	builds, err := d.List(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return builds
}

func ids(builds []Build) string {
	var ids []string
	for _, b := range builds {
		ids = append(ids, b.ID+":"+string(b.State))
	}
	return strings.Join(ids, " ")
}

func lines(t *testing.T, d *Dir, id string) string {
	t.Helper()
	var out []string
	for e, err := range d.Events(t.Context(), id, false) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Text != "" {
			out = append(out, e.Text)
		}
	}
	return strings.Join(out, "|")
}

func TestABuildFromItsBeginningToTheDatabase(t *testing.T) {
	d := folder(t, DefaultLimits)
	var warnings bytes.Buffer
	r, b := recorder(d, &warnings), newRun("ONE", "a", start)
	r.Observe(b)
	b.runs()
	b.print("first")
	other := again(t, d)
	for e := range until(t, other, "ONE") {
		if e.Text != "first" {
			t.Errorf("first event: %+v", e)
		}
		break
	}
	running := list(t, other, Filter{})
	if ids(running) != "ONE:running" || running[0].Builder == nil ||
		running[0].PID != os.Getpid() || running[0].Command != "ensure" {
		t.Errorf("while it runs: %+v", running)
	}
	followed := make(chan string)
	go func() {
		var out []string
		for e, err := range other.Events(t.Context(), "ONE", true) {
			if err != nil {
				out = append(out, err.Error())
			}
			out = append(out, e.Text)
		}
		followed <- strings.Join(out, "|")
	}()
	b.print("second")
	b.end(pinion.BuildFailed)
	if got := <-followed; got != "first|second|" {
		t.Errorf("followed: %q", got)
	}
	r.Close(t.Context())
	got := list(t, other, Filter{})
	if ids(got) != "ONE:failed" || got[0].PID != 0 || got[0].Failure.Message != "it broke" ||
		got[0].Took(start) != time.Minute {
		t.Errorf("afterwards: %+v", got)
	}
	if got := lines(t, other, "ONE"); got != "first|second" {
		t.Errorf("events: %q", got)
	}
	if left, _ := fs.Glob(os.DirFS(d.Path()), "journals/*"); len(left) > 0 || warnings.Len() > 0 {
		t.Errorf("left %v, warnings %s", left, &warnings)
	}
}

// until yields the events of a build that begins.
func until(t *testing.T, d *Dir, id string) iter.Seq[pinion.Event] {
	return func(yield func(pinion.Event) bool) {
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			for e, err := range d.Events(t.Context(), id, true) {
				if err == nil && !yield(e) {
					return
				}
			}
			time.Sleep(time.Millisecond)
		}
		t.Error("no event came")
	}
}

// TestAJournalThatCannotBeRead stays where it is.
func TestAJournalThatCannotBeRead(t *testing.T) {
	d := folder(t, DefaultLimits)
	fill(t, d, "a")
	j, err := d.newJournal("ONE")
	if err != nil {
		t.Fatal(err)
	}
	b := Build{BuildStatus: newRun("ONE", "a", start).status}
	if err := j.write(line{Version: journalVersion, Build: &b}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.file.WriteString(strings.Repeat("x", maxLine+1)); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Take(t.Context()); !errors.Is(err, bufio.ErrTooLong) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(d.Path(), journalFile("ONE"))); err != nil {
		t.Error(err)
	}
	if got, err := d.List(t.Context(), Filter{}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestHitsDoNotPushBuildsOut of the history.
func TestHitsDoNotPushBuildsOut(t *testing.T) {
	limits := DefaultLimits
	limits.Count = 6
	d := folder(t, limits)
	fill(t, d, "a", "b")
	var warnings bytes.Buffer
	for i := range 20 {
		recorder(d, &warnings).Observe(hitRun(fmt.Sprint("H", i), fmt.Sprint("h", i),
			start.Add(time.Minute)))
	}
	got := list(t, d, Filter{})
	hits := slices.DeleteFunc(slices.Clone(got), func(b Build) bool { return b.Hits == 0 })
	if len(got) != 5 || len(hits) != 3 {
		t.Errorf("%s", ids(got))
	}
}

// A process that is killed in mid-write leaves a journal without a lock.
func TestAKilledProcess(t *testing.T) {
	d := folder(t, DefaultLimits)
	j, err := d.newJournal("ONE")
	if err != nil {
		t.Fatal(err)
	}
	b := Build{BuildStatus: newRun("ONE", "a", start).status, PID: 1}
	if err := j.write(line{Version: journalVersion, Build: &b}); err != nil {
		t.Fatal(err)
	}
	e := pinion.Event{Type: pinion.EventLog, Text: "said", Time: start.Add(time.Second)}
	if err := j.event(e); err != nil {
		t.Fatal(err)
	}
	if _, err := j.file.WriteString(`{"event":{"type":"lo`); err != nil {
		t.Fatal(err)
	}
	if empty, err := d.newJournal("TWO"); err != nil || empty.close() != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	got := list(t, d, Filter{})
	if ids(got) != "ONE:interrupted" || got[0].Ended.IsZero() || got[0].PID != 0 {
		t.Errorf("%+v", got)
	}
	if got := lines(t, d, "ONE"); got != "said" {
		t.Errorf("events: %q", got)
	}
}

func TestHitsOfAnHourAreOne(t *testing.T) {
	d := folder(t, DefaultLimits)
	var warnings bytes.Buffer
	command := recorder(d, &warnings)
	server := recorderOf("serve", again(t, d), &warnings, Batched())
	command.Observe(hitRun("A1", "a", start))
	for i := range 3 {
		server.Observe(hitRun(fmt.Sprint("S", i), "a", start.Add(time.Duration(i-3)*time.Second)))
	}
	if got := ids(list(t, d, Filter{})); got != "A1:done" {
		t.Errorf("before the server flushes: %s", got)
	}
	command.Observe(hitRun("A2", "a", start.Add(time.Minute)))
	command.Observe(hitRun("A3", "a", start.Add(time.Hour)))
	command.Observe(hitRun("B1", "b", start.Add(2*time.Minute)))
	server.Close(t.Context())
	got := ""
	for _, b := range list(t, d, Filter{}) {
		got += fmt.Sprintf("%s x%d by %s; ", b.Name, b.Hits, b.Command)
	}
	if want := "a x1 by ensure; b x1 by ensure; a x2 by ensure; a x3 by serve; "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if warnings.Len() > 0 {
		t.Error(&warnings)
	}
}

// Hits that were taken in, but whose file was not removed, count once.
func TestHitsAreTakenInOnce(t *testing.T) {
	d := folder(t, DefaultLimits)
	var warnings bytes.Buffer
	recorder(d, &warnings).Observe(hitRun("A1", "a", start))
	text, err := os.ReadFile(filepath.Join(d.Path(), fileHits))
	if err != nil {
		t.Fatal(err)
	}
	list(t, d, Filter{})
	if err := os.WriteFile(filepath.Join(d.Path(), takingHits), text, 0o600); err != nil {
		t.Fatal(err)
	}
	recorder(d, &warnings).Observe(hitRun("A2", "a", start))
	if got := list(t, d, Filter{}); len(got) != 1 || got[0].Hits != 2 {
		t.Errorf("%+v", got)
	}
}

func TestHitsThatNobodyTakesInAreBounded(t *testing.T) {
	limits := DefaultLimits
	limits.HitBytes = 4096
	d := folder(t, limits)
	var warnings bytes.Buffer
	r := recorder(d, &warnings)
	for i := range 100 {
		r.Observe(hitRun(fmt.Sprint("A", i), fmt.Sprint("a", i), start))
	}
	var size int64
	for _, name := range []string{fileHits, oldHits} {
		if info, err := os.Stat(filepath.Join(d.Path(), name)); err == nil {
			size += info.Size()
		}
	}
	if got := list(t, d, Filter{}); size > 2*limits.HitBytes || len(got) == 0 || len(got) == 100 {
		t.Errorf("%d bytes, %d hits", size, len(got))
	}
}

func fill(t *testing.T, d *Dir, names ...string) {
	t.Helper()
	var warnings bytes.Buffer
	r := recorder(d, &warnings)
	for i, name := range names {
		b := newRun(fmt.Sprintf("ID%03d", i), name, start.Add(time.Duration(i)*time.Second))
		r.Observe(b)
		b.print("line of " + name)
		b.end([]pinion.BuildState{pinion.BuildDone, pinion.BuildFailed}[i%2])
	}
	r.Close(t.Context())
	if warnings.Len() > 0 {
		t.Fatal(&warnings)
	}
}

func TestFilters(t *testing.T) {
	d := folder(t, DefaultLimits)
	fill(t, d, "a", "b", "a", "a", "b")
	for _, c := range []struct {
		f    Filter
		want string
	}{
		{Filter{}, "ID004:done ID003:failed ID002:done ID001:failed ID000:done"},
		{Filter{Limit: 2}, "ID004:done ID003:failed"},
		{Filter{Names: []string{"a"}}, "ID003:failed ID002:done ID000:done"},
		{Filter{Kinds: []string{KindFailed}}, "ID003:failed ID001:failed"},
		{Filter{Kinds: []string{KindFailed, KindHit}, Names: []string{"a", "c"}}, "ID003:failed"},
		{Filter{Since: start.Add(4 * time.Second)}, "ID004:done"},
		{Filter{Before: start.Add(2 * time.Second)}, "ID001:failed ID000:done"},
		{Filter{Before: start.Add(2 * time.Second), Limit: 1}, "ID001:failed"},
		{Filter{Names: []string{"c"}}, ""},
	} {
		if got := ids(list(t, d, c.f)); got != c.want {
			t.Errorf("%+v: %s, want %s", c.f, got, c.want)
		}
	}
	for prefix, want := range map[string]error{
		"ID00": ErrAmbiguous, "ID004": nil, "X": ErrNotFound,
	} {
		if b, err := d.Find(t.Context(), prefix); !errors.Is(err, want) ||
			err == nil && b.ID != prefix {
			t.Errorf("%s: %+v, %v", prefix, b, err)
		}
	}
	for _, err := range d.Events(t.Context(), "X", true) {
		if !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
}

func TestLimits(t *testing.T) {
	names := strings.Fields(strings.Repeat("a ", 10))
	for what, c := range map[string]struct {
		change func(*Limits)
		now    time.Duration
		want   int
	}{
		"count": {func(l *Limits) { l.Count = 3 }, 0, 3},
		"age":   {func(l *Limits) { l.Age = 5 * time.Second }, 10 * time.Second, 5},
		"bytes": {func(l *Limits) { l.Bytes = 1000 }, 0, 3},
		"none":  {func(*Limits) {}, 0, 10},
	} {
		limits := DefaultLimits
		c.change(&limits)
		d := folder(t, limits)
		d.now = func() time.Time { return start.Add(c.now) }
		fill(t, d, names...)
		got := list(t, d, Filter{})
		if len(got) != c.want || got[0].ID != "ID009" {
			t.Errorf("%s: %s", what, ids(got))
		}
		if size, err := d.Size(t.Context()); err != nil || size.Builds != int64(c.want) ||
			size.Bytes <= 0 || size.Bytes > limits.Bytes {
			t.Errorf("%s: %+v, %v", what, size, err)
		}
		if _, err := d.Find(t.Context(), "ID000"); (err == nil) != (c.want == 10) {
			t.Errorf("%s: the oldest: %v", what, err)
		}
	}
}

func TestALongLogIsCut(t *testing.T) {
	limits := DefaultLimits
	limits.JournalBytes = 2000
	d := folder(t, limits)
	var warnings bytes.Buffer
	r, b := recorder(d, &warnings), newRun("ONE", "a", start)
	for range 100 {
		b.print("a line")
	}
	r.Observe(b)
	b.end(pinion.BuildDone)
	r.Close(t.Context())
	got := lines(t, d, "ONE")
	if n := strings.Count(got, "a line"); n < 5 || n > 50 ||
		!strings.Contains(got, fmt.Sprintf("%d more lines were printed", 100-n)) {
		t.Errorf("%d lines: %s", n, got)
	}
}

func TestABrokenDatabase(t *testing.T) {
	damage := map[string]func(t *testing.T, file string){
		"no database": func(t *testing.T, file string) {
			write(t, file, []byte(strings.Repeat("nothing of the kind ", 2000)))
		},
		"cut short": func(t *testing.T, file string) {
			if err := os.Truncate(file, 9000); err != nil {
				t.Fatal(err)
			}
		},
		"less than a database": func(t *testing.T, file string) {
			if err := os.Truncate(file, 5000); err != nil {
				t.Fatal(err)
			}
		},
		"overwritten": func(t *testing.T, file string) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i := 2 * 4096; i < len(text); i++ {
				text[i] = 0xff
			}
			write(t, file, text)
		},
	}
	for what, f := range damage {
		d := folder(t, DefaultLimits)
		fill(t, d, "a", "b")
		f(t, filepath.Join(d.Path(), fileDatabase))
		if _, err := d.List(t.Context(), Filter{}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := d.Take(t.Context()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		fill(t, again(t, d), "c")
		if got := ids(list(t, d, Filter{Names: []string{"c"}})); got != "ID000:done" {
			t.Errorf("%s: %s", what, got)
		}
		if _, err := os.Stat(filepath.Join(d.Path(), fileBroken)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseOfANewerVersion(t *testing.T) {
	d := folder(t, DefaultLimits)
	fill(t, d, "a")
	if err := d.update(func(tx *bolt.Tx) error {
		return putNumber(tx.Bucket(bucketMeta), metaSchema, int64(len(migrations)+1))
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.List(t.Context(), Filter{}); !errors.Is(err, ErrNewer) {
		t.Errorf("list: %v", err)
	}
	var warnings bytes.Buffer
	r, b := recorder(d, &warnings), newRun("NEW", "a", start)
	r.Observe(b)
	b.end(pinion.BuildDone)
	r.Close(t.Context())
	if !strings.Contains(warnings.String(), ErrNewer.Error()) {
		t.Errorf("warnings: %s", &warnings)
	}
	if _, err := os.Stat(filepath.Join(d.Path(), journalFile("NEW"))); err != nil {
		t.Errorf("the journal waits for the newer version: %v", err)
	}
}

func TestMigrations(t *testing.T) {
	d := folder(t, DefaultLimits)
	var done []int
	steps := []func(*bolt.Tx) error{
		func(*bolt.Tx) error { done = append(done, 1); return nil },
		func(*bolt.Tx) error { done = append(done, 2); return nil },
		func(*bolt.Tx) error { return errors.New("it fails") },
	}
	for n, want := range []string{0: "[]", 1: "[1]", 2: "[1 2]", 3: "[1 2]"} {
		err := d.open(false, func(db *bolt.DB) error {
			return db.Update(func(tx *bolt.Tx) error { return migrate(tx, steps[:n]) })
		})
		if got := fmt.Sprint(done); got != want || (err != nil) != (n == 3) {
			t.Errorf("to %d: did %s, want %s: %v", n, got, want, err)
		}
	}
	if err := d.open(false, func(db *bolt.DB) error {
		return db.Update(func(tx *bolt.Tx) error { return migrate(tx, steps[:1]) })
	}); !errors.Is(err, ErrNewer) {
		t.Errorf("back: %v", err)
	}
}

func TestTwoProcessesAtOnce(t *testing.T) {
	d := folder(t, DefaultLimits)
	const each = 20
	done := make(chan error)
	for p := range 4 {
		other := again(t, d)
		go func() {
			var warnings bytes.Buffer
			for i := range each {
				r, b := recorder(other, &warnings), newRun(fmt.Sprintf("P%d-%d", p, i), "a",
					start.Add(time.Duration(i)*time.Second))
				r.Observe(b)
				r.Observe(hitRun(fmt.Sprintf("H%d-%d", p, i), "h", start))
				b.end(pinion.BuildDone)
				r.Close(context.Background())
			}
			if warnings.Len() > 0 {
				done <- errors.New(warnings.String())
				return
			}
			done <- nil
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := list(t, d, Filter{Names: []string{"a"}}); len(got) != 4*each {
		t.Errorf("%d builds", len(got))
	}
	if got := list(t, d, Filter{Names: []string{"h"}}); len(got) != 1 || got[0].Hits != 4*each {
		t.Errorf("hits: %+v", got)
	}
}

func TestSteps(t *testing.T) {
	at := func(n int, seconds int, state pinion.StepState) pinion.Event {
		return pinion.Event{Type: pinion.EventStep,
			Time: start.Add(time.Duration(seconds) * time.Second),
			Step: &pinion.Step{Number: n, Name: fmt.Sprint("step ", n), State: state}}
	}
	got := Steps([]pinion.Event{
		at(2, 0, pinion.StepCached), at(1, 1, pinion.StepStarted), {Type: pinion.EventLog},
		at(3, 2, pinion.StepStarted), at(1, 5, pinion.StepDone),
	})
	want := "1 done 4s; 2 cached 0s; 3 started -; "
	var text string
	for _, s := range got {
		took := "-"
		switch {
		case s.Started.IsZero():
			took = "0s"
		case !s.Ended.IsZero():
			took = s.Ended.Sub(s.Started).String()
		}
		text += fmt.Sprintf("%d %s %s; ", s.Number, s.State, took)
	}
	if text != want {
		t.Errorf("got %s, want %s", text, want)
	}
}
