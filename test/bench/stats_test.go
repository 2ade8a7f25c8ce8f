package main

import (
	"testing"
	"time"
)

func TestRatios(t *testing.T) {
	for _, tc := range []struct {
		name          string
		ours, peer    times
		ratio, paired float64
	}{
		{"one run", times{10}, times{20}, 0.5, 0.5},
		{"odd, unsorted", times{30, 10, 20}, times{40, 40, 40}, 0.5, 0.5},
		{"even", times{10, 20}, times{60, 20}, 0.375, (10.0/60 + 1) / 2},
		// The second half of the time the machine is three times slower. The pairs don't mind.
		{"slow half", times{10, 10, 30, 30, 30}, times{20, 20, 60, 60, 60}, 0.5, 0.5},
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
	ts := times{3 * time.Second, time.Second, 2 * time.Second}
	if ts.min() != time.Second || ts.median() != 2*time.Second || ts.max() != 3*time.Second {
		t.Errorf("min %s, median %s, max %s", ts.min(), ts.median(), ts.max())
	}
	if ts[0] != 3*time.Second {
		t.Error("the order of the runs is lost")
	}
}

func TestQuantile(t *testing.T) {
	var ts times
	for i := 200; i > 0; i-- {
		ts = append(ts, time.Duration(i))
	}
	for q, want := range map[float64]time.Duration{0.5: 100, 0.99: 198, 1: 200, 0: 1} {
		if got := ts.quantile(q); got != want {
			t.Errorf("quantile %v is %d, not %d", q, got, want)
		}
	}
	if got := (times{7}).quantile(0.99); got != 7 {
		t.Errorf("of one value it is %d", got)
	}
}

func TestRate(t *testing.T) {
	s := series{Times: times{time.Second, 3 * time.Second}, Waits: make(times, 100)}
	if got := s.rate(); got != 25 {
		t.Errorf("%v answers a second, not 25", got)
	}
}

func TestCheck(t *testing.T) {
	c := contestant{name: "c", want: []string{"CACHED"}, unwanted: []string{"error"}}
	for out, ok := range map[string]bool{"#1 CACHED": true, "#1 DONE": false,
		"CACHED, error": false, "": false} {
		if err := c.check(out); (err == nil) != ok {
			t.Errorf("check(%q) = %v", out, err)
		}
	}
}
