package stats

import (
	"encoding/json"
	"os"
	"time"
)

// Report has the results of a benchmark, with every time.
type Report struct {
	Schema  int       `json:"schema"` // 3
	When    time.Time `json:"when"`
	Machine Machine   `json:"machine"`
	Results []Result  `json:"results"`
	Skipped []Skip    `json:"skipped,omitempty"`
}

// Result is the comparison of two series. Both have as many runs.
type Result struct {
	Scenario string        `json:"scenario"`
	Engine   string        `json:"engine"`
	Ours     string        `json:"ours"`
	Peer     string        `json:"peer"`
	OurRuns  Series        `json:"our_runs"`
	PeerRuns Series        `json:"peer_runs"`
	Aim      Aim           `json:"aim,omitzero"`
	Alone    time.Duration `json:"alone_ns,omitempty"` // see Answers
	Stages   []Stage       `json:"stages,omitempty"`   // of a mean run of ours
	Inits    []Stage       `json:"inits,omitempty"`    // of packages, in it; longest first
}

// Skip is a scenario that has no result, with the reason.
type Skip struct {
	Scenario string `json:"scenario"`
	Reason   string `json:"reason"`
}

// New returns an empty report of this machine, which must have nothing else to do. It takes a few
// seconds to see whether it has.
func New() Report {
	m := thisMachine()
	m.Busy = busy(5 * time.Second)
	return Report{Schema: 3, When: time.Now().UTC().Truncate(time.Second), Machine: m}
}

// Add appends a result and returns its summary.
func (r *Report) Add(res Result) Summary {
	r.Results = append(r.Results, res)
	return res.Summary()
}

// Skip appends a scenario that has no result.
func (r *Report) Skip(scenario string, reason error) {
	r.Skipped = append(r.Skipped, Skip{scenario, reason.Error()})
}

// Save writes the report to a file as JSON.
func (r *Report) Save(file string) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(body, '\n'), 0o644)
}
