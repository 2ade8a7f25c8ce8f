package main

import (
	"bytes"
	"os"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/history"
	"git.moleculesai.app/molecule-ai/pinion/test/bench/page"
	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// Where runs are recorded, below the folder of the source tree.
const (
	historyFile = "test/bench/history.jsonl"
	pageFile    = "docs/performance.md"
)

// record prints the page of a run, and if it is to be kept appends to the history and writes the
// document.
func record(keep bool, run history.Run, report stats.Report) error {
	var measured []history.Row
	var names []history.Key
	for _, result := range report.Results {
		r := run.Row(result.Summary())
		measured, names = append(measured, r), append(names, r.Key())
	}
	this := history.History{Runs: []history.Run{run}, Rows: measured}
	err := page.Write(os.Stdout, this, names)
	for _, s := range report.Skipped {
		say("not measured: %s: %s", s.Scenario, s.Reason)
	}
	if err != nil || !keep || len(measured) == 0 {
		return err
	}
	if err := history.Append(historyFile, run, measured); err != nil {
		return err
	}
	say("recorded in %s; writing %s", historyFile, pageFile)
	return writePage()
}

// writePage writes the document from the history.
func writePage() error {
	text, err := document(historyFile)
	if err != nil {
		return err
	}
	return os.WriteFile(pageFile, text, 0o644)
}

// document returns the page of a history.
func document(path string) ([]byte, error) {
	h, err := history.Read(path)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = page.Write(&text, h, keys())
	return text.Bytes(), err
}
