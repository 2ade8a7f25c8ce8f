package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// report is what the bench found out.
type report struct {
	Schema  int       `json:"schema"` // 2
	When    time.Time `json:"when"`
	Machine machine   `json:"machine"`
	Results []result  `json:"results"`
	Skipped []skip    `json:"skipped,omitempty"`
}

// result is one race.
type result struct {
	Scenario string  `json:"scenario"`
	Engine   string  `json:"engine"`
	Ours     string  `json:"ours"`
	Peer     string  `json:"peer"`
	OurRuns  series  `json:"our_runs"`
	PeerRuns series  `json:"peer_runs"`
	Ratio    float64 `json:"ratio"`
	Paired   float64 `json:"paired_ratio"`
	Aim      float64 `json:"aim,omitempty"`
}

// skip is a scenario that this machine cannot run, and why.
type skip struct {
	Scenario string `json:"scenario"`
	Reason   string `json:"reason"`
}

func newReport() report { return report{Schema: 2, When: time.Now().UTC(), Machine: thisMachine()} }

func (r *report) add(scenario, engine string, race race, ours, peer series) {
	res := result{
		Scenario: scenario, Engine: engine, Ours: race.ours.name, Peer: race.peer.name,
		OurRuns: ours, PeerRuns: peer,
		Ratio: ratio(ours.Times, peer.Times), Paired: pairedRatio(ours.Times, peer.Times),
		Aim: race.aim,
	}
	if race.ours.bytes == nil {
		res.OurRuns.Bytes = nil
	}
	if race.peer.bytes == nil {
		res.PeerRuns.Bytes = nil
	}
	r.Results = append(r.Results, res)
	say("  ratio %s (aim %s), %s", share(res.Ratio), share(res.Aim), res.moved())
}

func (r *report) skip(scenario string, reason error) {
	say("%s: skipped: %v", scenario, reason)
	r.Skipped = append(r.Skipped, skip{scenario, reason.Error()})
}

// markdown prints the table.
func (r *report) markdown(w io.Writer) {
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

// moved shows the medians of the bytes, and where both are known their ratio.
func (r result) moved() string {
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

// share shows a ratio with as many decimals as it needs, and a dash for one that there is not.
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

// mb shows a number of bytes in MB (10^6 bytes).
func mb(n int64) string { return fmt.Sprintf("%.2f MB", float64(n)/1e6) }

func spread(t times) string {
	return fmt.Sprintf("%s (%s–%s)", ms(t.median()), ms(t.min()), ms(t.max()))
}

// ms shows a time in milliseconds, with a decimal where it says something.
func ms(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	if v < 100 {
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

func (r *report) save(file string) error {
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(body, '\n'), 0o644)
}
