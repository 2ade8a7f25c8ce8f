package stats

import (
	"fmt"
	"io"
)

// split separates the results of commands from those of callers, for whom the answers a second
// count and not the length of a run.
func (r *Report) split() (commands, callers []Result) {
	for _, res := range r.Results {
		if len(res.OurRuns.Waits) == 0 {
			commands = append(commands, res)
		} else {
			callers = append(callers, res)
		}
	}
	return commands, callers
}

// answersTable writes the answers a second and the time that callers waited for one.
func answersTable(w io.Writer, results []Result) {
	if len(results) == 0 {
		return
	}
	fmt.Fprintln(w,
		"\n| scenario | engine | answers | Pinion | answers/s | p50 | p99 | peer | answers/s | "+
			"p50 | p99 | ratio of answers/s (more is better) | memory: Pinion, peer |")
	fmt.Fprintln(w, "|---|---|--:|---|--:|--:|--:|---|--:|--:|--:|--:|--:|")
	for _, res := range results {
		ours, peer := res.OurRuns, res.PeerRuns
		fmt.Fprintf(w,
			"| %s | %s | %d | %s | %.0f | %s | %s | %s | %.0f | %s | %s | **%s** | %s, %s |\n",
			res.Scenario, res.Engine, len(ours.Waits),
			res.Ours, ours.rate(), ms(ours.Waits.quantile(0.5)), ms(ours.Waits.quantile(0.99)),
			res.Peer, peer.rate(), ms(peer.Waits.quantile(0.5)), ms(peer.Waits.quantile(0.99)),
			share(ours.rate()/peer.rate()), known(ours.Memory), known(peer.Memory))
	}
}

// known formats memory, and gives a dash where it was not measured.
func known(n int64) string {
	if n == 0 {
		return "–"
	}
	return mb(n)
}
