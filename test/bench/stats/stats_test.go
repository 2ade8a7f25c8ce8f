package stats

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRatios(t *testing.T) {
	for _, tc := range []struct {
		name          string
		ours, peer    Times
		ratio, paired float64
	}{
		{"one run", Times{10}, Times{20}, 0.5, 0.5},
		{"odd, unsorted", Times{30, 10, 20}, Times{40, 40, 40}, 0.5, 0.5},
		{"even", Times{10, 20}, Times{60, 20}, 0.375, (10.0/60 + 1) / 2},
		// The second half of the time the machine is three times slower, which leaves
		// the ratios of the pairs alone.
		{"slow half", Times{10, 10, 30, 30, 30}, Times{20, 20, 60, 60, 60}, 0.5, 0.5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ratio(tc.ours, tc.peer); got != tc.ratio {
				t.Errorf("ratio is %v, not %v", got, tc.ratio)
			}
			if got := pairedRatio(tc.ours, tc.peer); got != tc.paired {
				t.Errorf("paired ratio is %v, not %v", got, tc.paired)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	ts := Times{3 * time.Second, time.Second, 2 * time.Second}
	if ts.min() != time.Second || ts.median() != 2*time.Second || ts.max() != 3*time.Second {
		t.Errorf("min %s, median %s, max %s", ts.min(), ts.median(), ts.max())
	}
	if ts[0] != 3*time.Second {
		t.Error("the order of the runs is lost")
	}
}

func TestQuantile(t *testing.T) {
	var ts Times
	for i := 200; i > 0; i-- {
		ts = append(ts, time.Duration(i))
	}
	for q, want := range map[float64]time.Duration{0.5: 100, 0.99: 198, 1: 200, 0: 1} {
		if got := ts.quantile(q); got != want {
			t.Errorf("quantile %v is %d, not %d", q, got, want)
		}
	}
	if got := (Times{7}).quantile(0.99); got != 7 {
		t.Errorf("of one value it is %d", got)
	}
}

func TestRate(t *testing.T) {
	s := Series{Times: Times{time.Second, 3 * time.Second}, Waits: make(Times, 100)}
	if got := s.rate(); got != 25 {
		t.Errorf("%v answers a second, not 25", got)
	}
}

func TestReport(t *testing.T) {
	r := Report{Machine: Machine{CPUs: 2, Arch: "amd64", Go: "go1"}}
	r.Add(Result{Scenario: "hit", Engine: "docker29", Ours: "pinion", Peer: "script",
		OurRuns:  Series{Times: Times{time.Millisecond, 3 * time.Millisecond}},
		PeerRuns: Series{Times: Times{4 * time.Millisecond, 4 * time.Millisecond}, Memory: 2e6}})
	waits := Series{Times: Times{time.Second}, Waits: Times{time.Millisecond, 2 * time.Millisecond}}
	r.Add(Result{Scenario: "hits", Engine: "docker29", Ours: "library", Peer: "bare",
		OurRuns: waits, PeerRuns: waits, Aim: 1})
	r.Skip("huge", errors.New("no room"))
	var got strings.Builder
	r.Markdown(&got)
	for _, line := range []string{
		"Machine: 2 CPUs (unknown, amd64), Linux unknown, go1; load before the first run: unknown",
		"| hit | docker29 | 2 | 2.0 ms (1.0 ms–3.0 ms) | script | 4.0 ms (4.0 ms–4.0 ms) |" +
			" **0.50** | 0.50 | – | – | 0.00 MB, 2.00 MB |",
		"| hits | docker29 | 2 | library | 2 | 1.0 ms | 2.0 ms | bare | 2 | 1.0 ms | 2.0 ms |" +
			" **1.00** | –, – |",
		"- skipped: huge: no room",
	} {
		if !slices.Contains(strings.Split(got.String(), "\n"), line) {
			t.Errorf("the tables lack %q:\n%s", line, got.String())
		}
	}
}

func TestSeries(t *testing.T) {
	var s Series
	s.Add(Run{Time: 2, Bytes: 10, Memory: 7, Waits: Times{1}})
	s.Add(Run{Time: 1, Bytes: 20, Memory: 5, Waits: Times{3}})
	want := Series{Times: Times{2, 1}, Bytes: []int64{10, 20}, Memory: 7, Waits: Times{1, 3}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("the series is %+v, not %+v", s, want)
	}
}
