package page

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/history"
	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// commands are the rows that are no callers.
func (p *page) commands() {
	p.printf("\n## Commands\n\n")
	p.table(2, "row", "engine", "Pinion", "peer", "ratio", "range", "aim", "met", "runs",
		"largest process: Pinion", "peer", "measured")
	for _, r := range p.latest() {
		if r.Answers != nil {
			continue
		}
		aim, met := aims(r)
		p.row(r.Scenario, r.Engine, lengths(r.Times), lengths(r.Peers), "**"+share(r.Ratio)+"**",
			shares(r.Spread), aim, met, strconv.Itoa(r.Runs), memory(r.Memory), memory(r.PeerMem),
			p.measured(r))
	}
}

// callers are the rows of a server or of the library.
func (p *page) callers() {
	p.printf("\n## Callers\n\nThe number in a row's name is that of the callers, each of whom " +
		"asks again as soon as it has its\nanswer. The ratio is of the time for an answer.\n\n")
	p.table(2, "row", "engine", "answers", "answers/s", "p50", "p99", "peer: answers/s", "p50",
		"p99", "ratio", "range", "aim", "met", "measured")
	for _, r := range p.latest() {
		if r.Answers == nil {
			continue
		}
		aim, met := aims(r)
		ours, peer := r.Answers.Ours, r.Answers.Peer
		p.row(r.Scenario, r.Engine, grouped(int64(r.Answers.Number)),
			grouped(int64(ours.Rate)), length(ours.P50), length(ours.P99),
			grouped(int64(peer.Rate)), length(peer.P50), length(peer.P99),
			"**"+share(r.Ratio)+"**", shares(r.Spread), aim, met, p.measured(r))
	}
}

// counts are the numbers that do not depend on the machine.
func (p *page) counts() {
	p.printf("\n## Counts\n\nThese do not depend on the machine. A range is given if the runs " +
		"differ.\n\n")
	p.table(3, "row", "engine", "what", "Pinion", "peer")
	for _, r := range p.latest() {
		for _, c := range r.Counts {
			p.row(r.Scenario, r.Engine, c.What, count(c.Ours), count(c.Peer))
		}
	}
}

// compared says what each row is about.
func (p *page) compared() {
	p.printf("\n## What the rows compare\n\n")
	p.table(3, "row", "Pinion", "peer")
	last := ""
	for _, r := range p.latest() {
		if r.Scenario != last {
			p.row(r.Scenario, r.Ours, r.Peer)
		}
		last = r.Scenario
	}
}

// stages are the parts of a hit, for each engine.
func (p *page) stages() {
	rows := slices.DeleteFunc(p.latest(), func(r history.Row) bool { return r.Stages == nil })
	if len(rows) == 0 {
		return
	}
	p.printf("\n## Where the time of a hit goes\n\n%s\n", stagesText)
	columns := []string{"stage"}
	for _, r := range rows {
		columns = append(columns, r.Engine)
	}
	p.table(1, columns...)
	for i, stage := range rows[0].Stages {
		cells := []string{stage.Name}
		for _, r := range rows {
			cells = append(cells, length(r.Stages[i].Time))
		}
		p.row(cells...)
	}
	whole, median, when := []string{"**the whole**"}, []string{"row hit, median"},
		[]string{"measured"}
	for _, r := range rows {
		whole = append(whole, "**"+length(stats.Sum(r.Stages))+"**")
		median = append(median, p.median(history.Key{Scenario: "hit", Engine: r.Engine}))
		when = append(when, p.measured(r))
	}
	p.row(whole...)
	p.row(median...)
	p.row(when...)
	p.inits(rows[0].Inits)
}

func (p *page) median(k history.Key) string {
	r, ok := p.h.Latest(k)
	if !ok {
		return none
	}
	return length(time.Duration(r.Times.Median))
}

// inits are the packages that take longest to initialise.
func (p *page) inits(packages []stats.Stage) {
	if len(packages) == 0 {
		return
	}
	p.printf("\nThe packages that take longest to initialise:\n\n")
	p.table(1, "package", "time")
	for _, s := range packages {
		p.row("`"+s.Name+"`", fmt.Sprintf("%.3f ms", float64(s.Time)/float64(time.Millisecond)))
	}
}
