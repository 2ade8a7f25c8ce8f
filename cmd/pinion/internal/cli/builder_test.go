package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// fakeManaged is a Manager with fixed results.
type fakeManaged struct {
	status  daemon.Status
	stopped bool
	freed   int64
	err     error

	grace time.Duration
	what  daemon.Prune
	lines int
}

func (f *fakeManaged) Ensure(context.Context) (string, error)        { return "unix:///x", f.err }
func (f *fakeManaged) Status(context.Context) (daemon.Status, error) { return f.status, f.err }

func (f *fakeManaged) Stop(_ context.Context, grace time.Duration) (bool, error) {
	f.grace = grace
	return f.stopped, f.err
}

func (f *fakeManaged) Logs(_ context.Context, w io.Writer, lines int, _ bool) error {
	f.lines = lines
	_, err := io.WriteString(w, "a line \x1b[31mred\n")
	return err
}

func (f *fakeManaged) Prune(_ context.Context, what daemon.Prune) (int64, error) {
	f.what = what
	return f.freed, f.err
}

func callManaged(t *testing.T, m Manager, args string) run {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := program(nil, nil, &stdout, &stderr)
	p.Managed = func(string, ...daemon.Option) Manager { return m }
	code := Run(t.Context(), p, strings.Fields(args))
	return run{code, stdout.String(), stderr.String()}
}

func TestBuilderVerbs(t *testing.T) {
	runs := &fakeManaged{stopped: true, freed: 1_500_000_000, status: daemon.Status{
		Running: true, Root: "/var/lib/pinion", Log: "/var/lib/pinion/buildkitd.log",
		Process: &daemon.Process{
			PID: 4711, Address: "unix:///var/lib/pinion/buildkitd.sock", Version: "v1.2.3",
			BuildKit: "v0.34.2", Snapshotter: "overlayfs",
			Started: time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC), Uptime: 3661,
			DiskUsage: 1_230_000_000, KeepStorage: 20_000_000_000,
			IdleExit: 900, ActiveBuilds: 2,
		},
	}}
	for file, args := range map[string]string{
		"builder-status.txt":  "builder status",
		"builder-status.json": "builder status --format json",
		"builder-stop.txt":    "builder stop --timeout 3s",
		"builder-stop.json":   "builder stop --format json",
		"builder-prune.txt":   "builder prune --all --keep-storage 5GB --older-than 48h",
		"builder-prune.json":  "builder prune --format json",
		"builder-logs.txt":    "builder logs -n 5",
	} {
		got := callManaged(t, runs, args)
		if got.code != 0 || got.stderr != "" {
			t.Errorf("%s: got %+v", args, got)
		}
		golden(t, file, got.stdout)
	}
	if callManaged(t, runs, "builder stop --timeout 3s"); runs.grace != 3*time.Second {
		t.Errorf("grace is %s", runs.grace)
	}
	want := daemon.Prune{All: true, KeepStorage: 5_000_000_000, OlderThan: 48 * time.Hour}
	if callManaged(t, runs,
		"builder prune -a --keep-storage 5GB --older-than 48h"); runs.what != want ||
		runs.lines != 5 {
		t.Errorf("prune %+v, lines %d", runs.what, runs.lines)
	}
	idle := &fakeManaged{status: daemon.Status{Root: "/r", Log: "/r/buildkitd.log"}}
	golden(t, "builder-status-not.txt", callManaged(t, idle, "builder status").stdout)
}

func TestBuilderThatCannotRunExits13(t *testing.T) {
	f := &fakeManaged{err: &daemon.Error{Op: "prune", Err: daemon.ErrRights}}
	if got := callManaged(t, f, "builder prune"); got.code != 13 ||
		!strings.Contains(got.stderr, "not enough rights") {
		t.Errorf("got %+v", got)
	}
}

func TestBuilderUsage(t *testing.T) {
	for want, args := range map[string]string{
		"--builder managed excludes --addr":             "ls --builder managed --addr unix:///x",
		"--builder mine excludes --addr":                "ls --builder mine --addr unix:///x",
		"--builder-idle: ":                              "ls --builder-idle soon",
		`--builder-idle: "-1s" is negative`:             "ls --builder-idle -1s",
		`--builder-keep-storage: "0" is not above zero`: "ls --builder-keep-storage 0",
		"--timeout -1s is negative":                     "builder stop --timeout -1s",
		`--keep-storage "much" is not a size`:           "builder prune --keep-storage much",
		`--format "yaml": choose one of text, json`:     "builder status --format yaml",
		`unknown command "begin"`:                       "builder begin",
		`unknown command "x" for "pinion builder logs"`: "builder logs x",
	} {
		got := call(t.Context(), nil, strings.Fields(args)...)
		if got.code != 64 || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got %+v, want %q", args, got, want)
		}
	}
	got := callWith(t.Context(), nil, map[string]string{"PINION_BUILDKIT_IDLE": "soon"},
		"builder", "status")
	if got.code != 64 || !strings.Contains(got.stderr, "PINION_BUILDKIT_IDLE: ") {
		t.Errorf("got %+v", got)
	}
}
