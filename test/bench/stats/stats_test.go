package stats

import (
	"reflect"
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
			if got := median(pairs(tc.ours, tc.peer)); got != tc.paired {
				t.Errorf("paired ratio is %v, not %v", got, tc.paired)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	ts := Times{3 * time.Second, time.Second, 2 * time.Second}
	if ts.Median() != 2*time.Second {
		t.Errorf("median %s", ts.Median())
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
		if got := ts.Quantile(q); got != want {
			t.Errorf("quantile %v is %d, not %d", q, got, want)
		}
	}
	if got := (Times{7}).Quantile(0.99); got != 7 {
		t.Errorf("of one value it is %d", got)
	}
}

func TestRate(t *testing.T) {
	s := Series{Times: Times{time.Second, 3 * time.Second}, Waits: make(Times, 100)}
	if got := s.rate(); got != 25 {
		t.Errorf("%v answers a second, not 25", got)
	}
}

func TestSummary(t *testing.T) {
	second := int64(time.Second)
	got := Result{Scenario: "hits", Engine: "e", Ours: "o", Peer: "p", Aim: Aim{Ratio: 1},
		OurRuns: Series{Times: Times{time.Second, time.Second}, Waits: Times{1, 2, 3, 4}, Memory: 5,
			Counts: map[string][]int64{"requests": {3, 5}, "bytes": {7, 7}}},
		PeerRuns: Series{Times: Times{2 * time.Second, 4 * time.Second}, Waits: Times{2, 2, 2, 2},
			Counts: map[string][]int64{"requests": {9, 9}}},
		Alone: 6, Inits: make([]Stage, 20)}.Summary()
	want := Summary{Scenario: "hits", Engine: "e", Ours: "o", Peer: "p", Runs: 2, Ratio: 1.0 / 3,
		Spread: Spread[float64]{0.375, 0.25, 0.5}, Aim: Aim{Ratio: 1},
		Times:   Spread[int64]{second, second, second},
		Peers:   Spread[int64]{3 * second, 2 * second, 4 * second},
		Answers: &Answers{4, Wait{2, 2, 4}, Wait{4.0 / 6, 2, 2}, 6}, Memory: 5,
		Counts: []Count{{"bytes", &Spread[int64]{7, 7, 7}, nil},
			{"requests", &Spread[int64]{4, 3, 5}, &Spread[int64]{9, 9, 9}}},
		Inits: make([]Stage, mostInits)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the summary is\n%+v, not\n%+v", got, want)
	}
}

func TestSpread(t *testing.T) {
	few := spreadOf([]int64{9, 1, 5})
	if few != (Spread[int64]{5, 1, 9}) {
		t.Errorf("of three values: %+v", few)
	}
	many := spreadOf([]int64{100, 1, 2, 3, 4, 5, 6, 7, 8})
	if many != (Spread[int64]{5, 3, 7}) {
		t.Errorf("of nine values: %+v", many)
	}
}

func TestMeanStagesAddUp(t *testing.T) {
	var s Series
	for _, start := range []time.Duration{40, 10, 30, 900} { // the middle half: 30 and 40
		s.Add(Run{Stages: []Stage{{"exec", 2}, {Starting, start}, {"exit", 4}}})
	}
	got := MeanStages(s, 5)
	want := []Stage{{"exec", 2}, {Init, 5}, {Starting, 30}, {"exit", 4}}
	if !reflect.DeepEqual(got, want) || Sum(got) != 2+35+4 {
		t.Errorf("the stages are %+v, not %+v", got, want)
	}
	if got := MeanStages(s, 1000); got[1].Time != 35 || got[2].Time != 0 || Sum(got) != 2+35+4 {
		t.Errorf("with more init than start they are %+v", got)
	}
	if got := MeanStages(Series{}, 5); got != nil {
		t.Errorf("of no run they are %+v", got)
	}
}

func TestBusy(t *testing.T) {
	if got := (ticks{idle: 175, all: 300}).since(ticks{idle: 100, all: 200}); got != 0.25 {
		t.Errorf("busy is %v, not 0.25", got)
	}
	if got := (ticks{}).since(ticks{}); got != 0 {
		t.Errorf("without ticks it is %v", got)
	}
}

func TestSeries(t *testing.T) {
	var s Series
	s.Add(Run{Time: 2, Counts: Counts{"n": 10}, Memory: 7, Waits: Times{1}})
	s.Add(Run{Time: 1, Counts: Counts{"n": 20}, Memory: 5, Waits: Times{3}})
	want := Series{Times: Times{2, 1}, Counts: map[string][]int64{"n": {10, 20}}, Memory: 7,
		Waits: Times{1, 3}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("the series is %+v, not %+v", s, want)
	}
}
