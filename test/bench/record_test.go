package main

import (
	"bytes"
	"os"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/history"
	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// TestDocumentIsOfTheHistory: nothing in the document is typed by hand.
func TestDocumentIsOfTheHistory(t *testing.T) {
	t.Chdir("../..")
	want, err := document(historyFile)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what %s gives (`go run ./test/bench -page` writes it)", pageFile,
			historyFile)
	}
}

// TestRecord records a run of one row, and then one of another.
func TestRecord(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"docs", "test/bench"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	first, second := time.Unix(1e9, 0).UTC(), time.Unix(2e9, 0).UTC()
	for at, scenario := range map[time.Time]string{first: "hit", second: "reload"} {
		run := history.Run{At: at, Commit: "c"}
		if err := record(true, run, reportOf(scenario)); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| hit | docker20 | 1.0 ms", "| reload | docker20 | 1.0 ms",
		"2001-09-09, `c`", "2033-05-18, `c`", "- cached-build/docker20\n"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	before, err := os.ReadFile(historyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := record(false, history.Run{At: time.Now()}, reportOf("hit")); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(historyFile); err != nil || !bytes.Equal(after, before) {
		t.Errorf("a run that is not to be recorded was: %v\n%s", err, after)
	}
}

func reportOf(scenario string) (r stats.Report) {
	one := stats.Series{Times: stats.Times{time.Millisecond}}
	r.Add(stats.Result{Scenario: scenario, Engine: "docker20", OurRuns: one, PeerRuns: one})
	return r
}

func TestKeysAreTheRows(t *testing.T) {
	seen := map[history.Key]bool{}
	for _, k := range keys() {
		seen[k] = true
	}
	for _, r := range rows() {
		if !seen[history.Key{Scenario: r.name, Engine: string(r.flavour)}] {
			t.Errorf("the page has no row for %s", r)
		}
	}
	if len(seen) != len(rows()) || len(keys()) != len(seen) {
		t.Errorf("%d keys, %d different, %d rows", len(keys()), len(seen), len(rows()))
	}
}
