package history

import (
	"slices"
	"time"
)

// Key names a row in all runs.
type Key struct{ Scenario, Engine string }

// Key returns the row's.
func (r Row) Key() Key { return Key{r.Scenario, r.Engine} }

// Latest returns what was recorded last of a row.
func (h History) Latest(k Key) (Row, bool) {
	for _, r := range slices.Backward(h.Rows) {
		if r.Key() == k {
			return r, true
		}
	}
	return Row{}, false
}

// Of returns what a run recorded of a row.
func (h History) Of(k Key, run time.Time) (Row, bool) {
	i := h.find(k, run)
	if i < 0 {
		return Row{}, false
	}
	return h.Rows[i], true
}

// Run returns the run of a row.
func (h History) Run(r Row) Run {
	for _, run := range h.Runs {
		if run.At.Equal(r.At) {
			return run
		}
	}
	return Run{At: r.At, Commit: r.Commit}
}

// Change is how a ratio moved.
type Change int

// Changes. A ratio is the Same unless its spread and that of the record before it are apart: then
// it has become Worse or Better by more than the runs of either differ among themselves.
const (
	Same Change = iota
	Better
	Worse
)

// fewRuns are too few to know how runs differ.
const fewRuns = 3

// Change compares what a run recorded of a row with the record before it. Records of other machines
// or of disturbed runs, and those of fewer than three runs, are not compared.
func (h History) Change(k Key, run time.Time) Change {
	i := h.find(k, run)
	if i < 0 || !h.comparable(h.Rows[i]) {
		return Same
	}
	now := h.Rows[i]
	for _, before := range slices.Backward(h.Rows[:i]) {
		if before.Key() != k || before.Machine != now.Machine || !h.comparable(before) {
			continue
		}
		switch {
		case now.Spread.Low > before.Spread.High && now.Ratio > before.Ratio:
			return Worse
		case now.Spread.High < before.Spread.Low && now.Ratio < before.Ratio:
			return Better
		}
		return Same
	}
	return Same
}

func (h History) comparable(r Row) bool {
	return r.Runs >= fewRuns && !h.Run(r).Machine.Disturbed()
}

func (h History) find(k Key, run time.Time) int {
	return slices.IndexFunc(h.Rows, func(r Row) bool { return r.Key() == k && r.At.Equal(run) })
}
