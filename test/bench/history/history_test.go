package history

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// run is a quiet run on a day of November.
func run(day int) Run {
	return Run{At: time.Date(2026, 11, day, 12, 0, 0, 0, time.UTC), Commit: "c",
		Machine: stats.Machine{CPUs: 2}, Versions: map[string]string{"Go": "1.26"}}
}

// ratio is a result of a scenario, with its spread.
func ratio(scenario string, r, low, high float64) stats.Summary {
	return stats.Summary{Scenario: scenario, Engine: "e", Runs: 5, Ratio: r,
		Spread: stats.Spread[float64]{Median: r, Low: low, High: high}}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	if h, err := Read(path); err != nil || h.Runs != nil || h.Rows != nil {
		t.Fatalf("no file gives %+v, %v", h, err)
	}
	first, second := run(1), run(2)
	one := []Row{first.Row(ratio("a", 0.5, 0.4, 0.6)), first.Row(ratio("b", 0.7, 0.7, 0.7))}
	two := []Row{second.Row(ratio("b", 0.8, 0.8, 0.8))}
	if err := Append(path, first, one); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(before), "\n"); n != 3 {
		t.Errorf("a run with two rows has %d lines", n)
	}
	if err := Append(path, second, two); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(after), string(before)) {
		t.Errorf("the file was\n%s and became\n%s%v", before, after, err)
	}
	got, err := Read(path)
	want := History{[]Run{first, second}, append(one, two...)}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v, not %+v", got, err, want)
	}
	// The second run has left a out, which keeps what the first one recorded.
	for scenario, of := range map[string]Run{"a": first, "b": second} {
		r, ok := got.Latest(Key{scenario, "e"})
		if !ok || !reflect.DeepEqual(got.Run(r), of) {
			t.Errorf("the latest %s is of %+v", scenario, got.Run(r))
		}
	}
	if _, ok := got.Latest(Key{"c", "e"}); ok {
		t.Error("there is a row of no run")
	}
}

func TestReadNamesTheLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	for text, want := range map[string]string{
		`{"run":{"commit":"c"}}` + "\n{": ":2: unexpected end of JSON input",
		"{}\n":                           ":1: neither a run nor a row",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || err.Error() != path+want {
			t.Errorf("%q: %v, not %s", text, err, want)
		}
	}
}

func TestChange(t *testing.T) {
	before := ratio("a", 0.50, 0.45, 0.55)
	other, disturbed, few := run(2), run(2), before
	other.Machine.CPUs = 64
	disturbed.Machine.Busy = 0.5
	few.Runs = 2
	for name, tc := range map[string]struct {
		first stats.Summary
		run   Run
		now   stats.Summary
		want  Change
	}{
		"within":                {before, run(2), ratio("a", 0.54, 0.50, 0.60), Same},
		"apart and greater":     {before, run(2), ratio("a", 0.60, 0.56, 0.65), Worse},
		"apart and less":        {before, run(2), ratio("a", 0.40, 0.38, 0.44), Better},
		"another machine":       {before, other, ratio("a", 0.90, 0.90, 0.90), Same},
		"disturbed":             {before, disturbed, ratio("a", 0.90, 0.90, 0.90), Same},
		"too few runs before":   {few, run(2), ratio("a", 0.90, 0.90, 0.90), Same},
		"another row":           {before, run(2), ratio("b", 0.90, 0.90, 0.90), Same},
		"first of its scenario": {ratio("b", 0, 0, 0), run(2), before, Same},
	} {
		h := History{Runs: []Run{run(1), tc.run},
			Rows: []Row{run(1).Row(tc.first), tc.run.Row(tc.now)}}
		if got := h.Change(h.Rows[1].Key(), tc.run.At); got != tc.want {
			t.Errorf("%s: %v, not %v", name, got, tc.want)
		}
	}
}

// TestChangeSkipsWhatIsNotCompared has a disturbed run between two that are compared.
func TestChangeSkipsWhatIsNotCompared(t *testing.T) {
	disturbed := run(2)
	disturbed.Machine.Busy = 0.5
	h := History{Runs: []Run{run(1), disturbed, run(3)},
		Rows: []Row{run(1).Row(ratio("a", 0.5, 0.5, 0.5)),
			disturbed.Row(ratio("a", 0.9, 0.9, 0.9)), run(3).Row(ratio("a", 0.6, 0.6, 0.6))}}
	if got := h.Change(Key{"a", "e"}, run(3).At); got != Worse {
		t.Errorf("the change is %v", got)
	}
}
