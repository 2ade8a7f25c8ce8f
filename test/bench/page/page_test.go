package page

import (
	"bytes"
	"flag"
	"os"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/history"
	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

var update = flag.Bool("update", false, "write testdata/page.golden")

// rows are those of the tables. The last one is in no run.
var rows = []history.Key{{Scenario: "hit", Engine: "docker29"},
	{Scenario: "hit-stages", Engine: "docker29"},
	{Scenario: "hits-http-64", Engine: "docker29"}, {Scenario: "load", Engine: "docker29"},
	{Scenario: "load", Engine: "docker20"}}

// threeRuns measured all rows, then one on a busy machine, then one again.
func threeRuns() (h history.History) {
	for i, day := range []int{1, 2, 3} {
		run := history.Run{At: time.Date(2026, 11, day, 12, 30, 0, 0, time.UTC),
			Commit: string("abc"[i]) + "123456789", Machine: stats.Machine{CPUs: 2, Model: "EPYC",
				Memory: 16e9, Arch: "amd64", Kernel: "6.18", Busy: []float64{0.01, 0.7, 0.02}[i]},
			Versions: map[string]string{"Go": "1.26.8", "docker29": "29.0.0, overlay2"}}
		h.Runs = append(h.Runs, run)
		h.Rows = append(h.Rows, run.Row(hitRow([]float64{0.29, 0.35, 0.33}[i])))
		if i == 0 {
			delete(run.Versions, "docker29")
			h.Rows = append(h.Rows, run.Row(stagesRow()), run.Row(callersRow()), run.Row(loadRow()))
		}
	}
	// What is no longer measured is left out.
	h.Rows = append(h.Rows, h.Runs[0].Row(stats.Summary{Scenario: "gone", Engine: "docker29"}))
	return h
}

func hitRow(ratio float64) stats.Summary {
	return stats.Summary{Scenario: "hit", Engine: "docker29", Ours: "`pinion ensure`",
		Peer: "a script", Runs: 31, Ratio: ratio,
		Spread: stats.Spread[float64]{Median: ratio, Low: ratio - 0.01, High: ratio + 0.01},
		Times:  stats.Spread[int64]{Median: 14.5e6, Low: 14e6, High: 15e6},
		Peers:  stats.Spread[int64]{Median: 50e6, Low: 45e6, High: 120e6},
		Memory: 31.2e6, PeerMem: 27e6, Aim: stats.Aim{Ratio: 0.30}}
}

func stagesRow() stats.Summary {
	s := hitRow(0.30)
	s.Scenario, s.Aim = "hit-stages", stats.Aim{}
	s.Stages = []stats.Stage{{Name: "exec", Time: 500_000}, {Name: "init", Time: 3_500_000},
		{Name: "start", Time: 2_000_000}, {Name: "look-up", Time: 7_000_000},
		{Name: "inspect", Time: 0}, {Name: "exit", Time: 2_250_000}}
	s.Inits = []stats.Stage{{Name: "github.com/distribution/reference", Time: 512_000}}
	one, two := stats.Spread[int64]{Median: 1, Low: 1, High: 1},
		stats.Spread[int64]{Median: 2, Low: 1, High: 3}
	s.Counts = []stats.Count{{What: "requests to the engine", Ours: &one, Peer: &two}}
	return s
}

func callersRow() stats.Summary {
	return stats.Summary{Scenario: "hits-http-64", Engine: "docker29", Ours: "`pinion serve`",
		Peer: "both requests alone", Runs: 3, Ratio: 0.025,
		Spread: stats.Spread[float64]{Median: 0.025, Low: 0.02, High: 0.03},
		Answers: &stats.Answers{Number: 3840,
			Ours:  stats.Wait{Rate: 6789.4, P50: 8_000_000, P99: 30_000_000},
			Peer:  stats.Wait{Rate: 61, P50: 900_000_000, P99: 1_500_000_000},
			Alone: 6_000_000}, Aim: stats.Aim{Rate: 5000, Beyond: 20 * time.Millisecond}}
}

func loadRow() stats.Summary {
	sent := stats.Spread[int64]{Median: 1_050_112, Low: 1_050_112, High: 1_050_112}
	return stats.Summary{Scenario: "load", Engine: "docker29", Ours: "`pinion ensure`",
		Peer: "`docker buildx build --load`", Runs: 1, Ratio: 1.25,
		Spread: stats.Spread[float64]{Median: 1.25, Low: 1.25, High: 1.25},
		Times:  stats.Spread[int64]{Median: 12.5e9, Low: 12.5e9, High: 12.5e9},
		Peers:  stats.Spread[int64]{Median: 10e9, Low: 10e9, High: 10e9},
		Counts: []stats.Count{{What: "bytes delivered", Ours: &sent}}}
}

func TestPage(t *testing.T) {
	var got bytes.Buffer
	if err := Write(&got, threeRuns(), rows); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/page.golden"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the page differs from %s (-update writes it):\n%s", golden, got.String())
	}
}

// TestEmptyPage has no run: all rows are named as not measured.
func TestEmptyPage(t *testing.T) {
	var got bytes.Buffer
	if err := Write(&got, history.History{}, rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !bytes.Contains(got.Bytes(), []byte("- "+r.Scenario+"/"+r.Engine+"\n")) {
			t.Errorf("the page does not say that %v is not measured", r)
		}
	}
}
