package main

import (
	"fmt"
	"io"
)

// split keeps races of commands apart from those in which callers wait for answers: what counts
// there is not how long a run took.
func (r *report) split() (commands, callers []result) {
	for _, res := range r.Results {
		if len(res.OurRuns.Waits) == 0 {
			commands = append(commands, res)
		} else {
			callers = append(callers, res)
		}
	}
	return commands, callers
}

// answersTable prints the answers a second, and how long a caller waited for one.
func answersTable(w io.Writer, results []result) {
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

// known shows a dash for memory that nobody looked at.
func known(n int64) string {
	if n == 0 {
		return "–"
	}
	return mb(n)
}
