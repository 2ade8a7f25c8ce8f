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
	Schema  int       `json:"schema"` // 1
	When    time.Time `json:"when"`
	Machine machine   `json:"machine"`
	Results []result  `json:"results"`
	Skipped []skip    `json:"skipped,omitempty"`
}

// result is one race. Times are in nanoseconds, in the order of the runs.
type result struct {
	Scenario  string  `json:"scenario"`
	Engine    string  `json:"engine"`
	Ours      string  `json:"ours"`
	Peer      string  `json:"peer"`
	OurTimes  times   `json:"our_times"`
	PeerTimes times   `json:"peer_times"`
	Ratio     float64 `json:"ratio"`
	Paired    float64 `json:"paired_ratio"`
	Aim       float64 `json:"aim"`
}

// skip is a scenario that this machine cannot run, and why.
type skip struct {
	Scenario string `json:"scenario"`
	Reason   string `json:"reason"`
}

func newReport() report { return report{Schema: 1, When: time.Now().UTC(), Machine: thisMachine()} }

func (r *report) add(scenario, engine string, race race, ours, peer times) {
	res := result{
		Scenario: scenario, Engine: engine, Ours: race.ours.name, Peer: race.peer.name, OurTimes: ours, PeerTimes: peer,
		Ratio: ratio(ours, peer), Paired: pairedRatio(ours, peer), Aim: race.aim,
	}
	r.Results = append(r.Results, res)
	say("  ratio %.2f (aim %.2f)", res.Ratio, res.Aim)
}

func (r *report) skip(scenario string, reason error) {
	say("%s: skipped: %v", scenario, reason)
	r.Skipped = append(r.Skipped, skip{scenario, reason.Error()})
}

// markdown prints the table.
func (r *report) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n", r.Machine)
	if len(r.Results) > 0 {
		fmt.Fprintln(w, "| scenario | engine | runs | Pinion: median (min–max) | peer | peer: median (min–max) | ratio of medians | median of paired ratios | aim |")
		fmt.Fprintln(w, "|---|---|--:|--:|---|--:|--:|--:|--:|")
	}
	for _, res := range r.Results {
		fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %s | **%.2f** | %.2f | %.2f |\n",
			res.Scenario, res.Engine, len(res.OurTimes), spread(res.OurTimes), res.Peer, spread(res.PeerTimes), res.Ratio, res.Paired, res.Aim)
	}
	fmt.Fprintln(w)
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "- skipped: %s: %s\n", s.Scenario, s.Reason)
	}
}

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
