package history

import (
	"maps"
	"slices"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// Stat sums up the builds and hits of one template.
type Stat struct {
	Name        string `json:"name"`
	Builds      int    `json:"builds"` // that have ended
	Failed      int    `json:"failed"`
	Interrupted int    `json:"interrupted,omitempty"`
	Hits        int    `json:"hits"`
	// Median and P90 are of the builds that were done, in milliseconds.
	Median int64 `json:"median_ms"`
	P90    int64 `json:"p90_ms"`
	// Classes counts the failures by class, and Reasons the builds by why they were no hit.
	Classes map[pinion.Class]int `json:"classes,omitempty"`
	Reasons map[string]int       `json:"reasons,omitempty"`
	Last    time.Time            `json:"last"`
}

// HitRate returns the share of hits in what was asked for and has ended, from 0 to 1.
func (s Stat) HitRate() float64 {
	if s.Hits+s.Builds == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Hits+s.Builds)
}

// Sum sums up builds by their templates, in alphabetical order.
func Sum(builds []Build) []Stat {
	stats, took := map[string]*Stat{}, map[string][]time.Duration{}
	for _, b := range builds {
		if b.IsRunning() || b.kind() == KindSave {
			continue
		}
		s := stats[b.Name]
		if s == nil {
			s = &Stat{Name: b.Name, Classes: map[pinion.Class]int{}, Reasons: map[string]int{}}
			stats[b.Name] = s
		}
		if b.Ended.After(s.Last) {
			s.Last = b.Ended
		}
		s.Hits += b.Hits
		if b.Hits > 0 {
			continue
		}
		s.Builds++
		if b.Reason != "" {
			s.Reasons[b.Reason]++
		}
		switch b.kind() {
		case KindFailed:
			s.Failed++
			if b.Failure != nil {
				s.Classes[b.Failure.Class]++
			}
		case KindInterrupted:
			s.Interrupted++
		default:
			took[b.Name] = append(took[b.Name], b.Took(b.Ended))
		}
	}
	for name, s := range stats {
		slices.Sort(took[name])
		s.Median, s.P90 = quantile(took[name], 50), quantile(took[name], 90)
	}
	list := make([]Stat, 0, len(stats))
	for _, name := range slices.Sorted(maps.Keys(stats)) {
		list = append(list, *stats[name])
	}
	return list
}

// quantile returns a percentile of sorted times, in milliseconds.
func quantile(sorted []time.Duration, percent int) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*percent/100, len(sorted)-1)].Milliseconds()
}
