package stats

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// Report has the results of a benchmark.
type Report struct {
	Schema  int       `json:"schema"` // 2
	When    time.Time `json:"when"`
	Machine Machine   `json:"machine"`
	Results []Result  `json:"results"`
	Skipped []Skip    `json:"skipped,omitempty"`
}

// Result is the comparison of two series. Report.Add computes both ratios.
type Result struct {
	Scenario string  `json:"scenario"`
	Engine   string  `json:"engine"`
	Ours     string  `json:"ours"`
	Peer     string  `json:"peer"`
	OurRuns  Series  `json:"our_runs"`
	PeerRuns Series  `json:"peer_runs"`
	Ratio    float64 `json:"ratio"`
	Paired   float64 `json:"paired_ratio"`
	Aim      float64 `json:"aim,omitempty"`
}

// Skip is a scenario that this machine cannot run, with the reason.
type Skip struct {
	Scenario string `json:"scenario"`
	Reason   string `json:"reason"`
}

// New returns an empty report of this machine.
func New() Report { return Report{Schema: 2, When: time.Now().UTC(), Machine: thisMachine()} }

// Add computes the ratios of a result, appends it and returns it. Both series must have as many
// runs.
func (r *Report) Add(res Result) Result {
	res.Ratio = ratio(res.OurRuns.Times, res.PeerRuns.Times)
	res.Paired = pairedRatio(res.OurRuns.Times, res.PeerRuns.Times)
	r.Results = append(r.Results, res)
	return res
}

// Skip appends a scenario that cannot run here.
func (r *Report) Skip(scenario string, reason error) {
	r.Skipped = append(r.Skipped, Skip{scenario, reason.Error()})
}

// String returns the ratio, the aim and the bytes moved, for a line of progress.
func (r Result) String() string {
	return fmt.Sprintf("ratio %s (aim %s), %s", share(r.Ratio), share(r.Aim), r.moved())
}

// Markdown writes the tables.
func (r *Report) Markdown(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n", r.Machine)
	commands, callers := r.split()
	if len(commands) > 0 {
		fmt.Fprintln(w,
			"| scenario | engine | runs | Pinion: median (min–max) | peer | peer: median "+
				"(min–max) | ratio of medians | median of paired ratios | aim | moved: Pinion, "+
				"peer | memory: Pinion, peer |")
		fmt.Fprintln(w, "|---|---|--:|--:|---|--:|--:|--:|--:|--:|--:|")
	}
	for _, res := range commands {
		fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %s | **%s** | %s | %s | %s | %s, %s |\n",
			res.Scenario, res.Engine, len(res.OurRuns.Times), spread(res.OurRuns.Times), res.Peer,
			spread(res.PeerRuns.Times),
			share(res.Ratio), share(res.Paired), share(res.Aim), res.moved(),
			mb(res.OurRuns.Memory), mb(res.PeerRuns.Memory))
	}
	answersTable(w, callers)
	fmt.Fprintln(w)
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "- skipped: %s: %s\n", s.Scenario, s.Reason)
	}
}

// moved returns the medians of the bytes, and their ratio where both are known.
func (r Result) moved() string {
	ours, peer := r.OurRuns.Bytes, r.PeerRuns.Bytes
	switch {
	case ours == nil:
		return "–"
	case peer == nil || median(peer) == 0:
		return mb(median(ours))
	default:
		return fmt.Sprintf("%s, %s (%s)", mb(median(ours)), mb(median(peer)),
			share(float64(median(ours))/float64(median(peer))))
	}
}

// share formats a ratio with as many decimals as it needs. Zero stands for none and gives a dash.
func share(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 0.1:
		return fmt.Sprintf("%.3f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// mb formats a number of bytes in MB (10^6 bytes).
func mb(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }

func spread(t Times) string {
	return fmt.Sprintf("%s (%s–%s)", ms(t.median()), ms(t.min()), ms(t.max()))
}

// ms formats a time in milliseconds, with a decimal below 100.
func ms(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	if v < 100 {
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

// Save writes the report to a file as JSON.
func (r *Report) Save(file string) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(body, '\n'), 0o644)
}
