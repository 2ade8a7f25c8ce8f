package stats

import (
	"cmp"
	"slices"
	"time"
)

// Stage is a part of a run, or of its start.
type Stage struct {
	Name string        `json:"name"`
	Time time.Duration `json:"ns"`
}

// Sum is the time of all.
func Sum(stages []Stage) (sum time.Duration) {
	for _, s := range stages {
		sum += s.Time
	}
	return sum
}

// Names of the stages that MeanStages divides.
const (
	Starting = "start" // from exec(2) to the first request
	Init     = "init"  // of all packages, a part of it
)

// MeanStages returns the mean of each stage of the runs in the middle half by their length, so that
// the stages add up to the mean of those runs. inits is the time of initialising packages, measured
// apart: it is taken from the stage Starting and becomes the stage Init before it. It returns nil
// if the runs have no stages.
func MeanStages(s Series, inits time.Duration) []Stage {
	if len(s.Stages) == 0 {
		return nil
	}
	runs := slices.Clone(s.Stages)
	slices.SortFunc(runs, func(a, b []Stage) int { return cmp.Compare(Sum(a), Sum(b)) })
	runs = runs[len(runs)/4 : len(runs)-len(runs)/4]
	var mean []Stage
	for i, stage := range runs[0] {
		var sum time.Duration
		for _, run := range runs {
			sum += run[i].Time
		}
		of := Stage{stage.Name, sum / time.Duration(len(runs))}
		if of.Name == Starting {
			part := min(inits, of.Time)
			mean = append(mean, Stage{Init, part})
			of.Time -= part
		}
		mean = append(mean, of)
	}
	return mean
}
