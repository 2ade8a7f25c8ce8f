// Package page writes the history of the benchmarks as a page of Markdown. The page is a function
// of the history and of the list of rows: it has no other number.
package page

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/history"
)

// recentRuns are shown side by side.
const recentRuns = 5

// intro is the text above the tables.
//
//go:embed intro.txt
var intro string

// stagesText explains the stages of a hit.
//
//go:embed stages.txt
var stagesText string

// page is a page that is being written.
type page struct {
	strings.Builder
	h    history.History
	rows []history.Key
}

// Write writes the page. Rows are those of the tables, in their order; what the history has of
// others is left out, and of what it lacks the page says so.
func Write(w io.Writer, h history.History, rows []history.Key) error {
	p := &page{h: h, rows: rows}
	p.WriteString(intro)
	p.missing()
	p.commands()
	p.callers()
	p.stages()
	p.counts()
	p.compared()
	p.overTime()
	p.runs()
	_, err := io.WriteString(w, p.String())
	return err
}

// printf adds text.
func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// latest returns the last record of each row that has one.
func (p *page) latest() (rows []history.Row) {
	for _, k := range p.rows {
		if r, ok := p.h.Latest(k); ok {
			rows = append(rows, r)
		}
	}
	return rows
}

// missing names the rows that the history lacks.
func (p *page) missing() {
	var names []string
	for _, k := range p.rows {
		if _, ok := p.h.Latest(k); !ok {
			names = append(names, k.Scenario+"/"+k.Engine)
		}
	}
	if len(names) == 0 {
		return
	}
	p.printf("\n## Not yet measured\n\n")
	for _, name := range names {
		p.printf("- %s\n", name)
	}
}

// recent returns the last runs, oldest first.
func (p *page) recent() []history.Run {
	return p.h.Runs[max(0, len(p.h.Runs)-recentRuns):]
}

// table begins a table. The columns after the first texts are aligned to the right.
func (p *page) table(texts int, columns ...string) {
	p.row(columns...)
	for i := range columns {
		if i < texts {
			p.WriteString("|---")
		} else {
			p.WriteString("|--:")
		}
	}
	p.WriteString("|\n")
}

func (p *page) row(cells ...string) {
	p.printf("| %s |\n", strings.Join(cells, " | "))
}
