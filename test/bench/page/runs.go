package page

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/history"
)

// overTime has the ratios of the last runs side by side.
func (p *page) overTime() {
	p.printf("\n## Ratios over time\n\nA ratio is marked if it has left the range of the record " +
		"before it: its own range and that one are\napart. Disturbed runs, other machines and " +
		"fewer than three runs are not compared.\n\n")
	runs := p.recent()
	columns := []string{"row", "engine"}
	for _, run := range runs {
		columns = append(columns, heading(run))
	}
	p.table(2, columns...)
	for _, k := range p.rows {
		cells, found := []string{k.Scenario, k.Engine}, false
		for _, run := range runs {
			r, ok := p.h.Of(k, run.At)
			found = found || ok
			cells = append(cells, p.past(r, ok))
		}
		if found {
			p.row(cells...)
		}
	}
}

// past formats the ratio of a row in a run.
func (p *page) past(r history.Row, ok bool) string {
	if !ok {
		return none
	}
	text := share(r.Ratio) + " " + shares(r.Spread)
	switch p.h.Change(r.Key(), r.At) {
	case history.Worse:
		return "**" + text + " worse**"
	case history.Better:
		return text + " better"
	default:
		return text
	}
}

// runs describes the machines and versions of the last runs.
func (p *page) runs() {
	p.printf("\n## Machines and versions\n\n")
	runs := p.recent()
	columns := []string{""}
	names := map[string]bool{}
	for _, run := range runs {
		columns = append(columns, heading(run))
		for name := range run.Versions {
			names[name] = true
		}
	}
	p.table(1, columns...)
	fact := func(name string, of func(history.Run) string) {
		cells := []string{name}
		for _, run := range runs {
			text := of(run)
			if text == "" {
				text = none
			}
			cells = append(cells, text)
		}
		p.row(cells...)
	}
	fact("machine", func(r history.Run) string { return r.Machine.Name() })
	fact("kernel", func(r history.Run) string { return r.Machine.Kernel })
	fact("processors used by other work before the run", func(r history.Run) string {
		text := fmt.Sprintf("%.0f %%", 100*r.Machine.Busy)
		if r.Machine.Disturbed() {
			text += ", *disturbed*"
		}
		return text
	})
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fact(name, func(r history.Run) string { return r.Versions[name] })
	}
}

// heading names a run.
func heading(r history.Run) string {
	return r.At.Format(time.DateOnly) + " " + r.At.Format("15:04") + ", `" + r.Commit + "`"
}
