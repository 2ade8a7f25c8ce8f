// Package history keeps what runs of the benchmarks have recorded, in a file of lines of JSON to
// which each run appends. It guarantees that a line which is there stays as it is. It does not
// guard against two runs at once.
package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// Run is one call of the benchmarks.
type Run struct {
	At      time.Time     `json:"at"`     // when it began, in whole seconds; distinguishes runs
	Commit  string        `json:"commit"` // of Pinion
	Machine stats.Machine `json:"machine"`
	// Versions are those of all programs, by name. An engine's name is that in its rows.
	Versions map[string]string `json:"versions"`
}

// Row is one result of a run.
type Row struct {
	At      time.Time `json:"at"` // of its run
	Commit  string    `json:"commit"`
	Machine string    `json:"machine"` // see stats.Machine.Name
	stats.Summary
}

// Row returns a result as a row of the run.
func (r Run) Row(s stats.Summary) Row { return Row{r.At, r.Commit, r.Machine.Name(), s} }

// History is what the file has, oldest first.
type History struct {
	Runs []Run
	Rows []Row
}

// line is a line of the file: one of the two.
type line struct {
	Run *Run `json:"run,omitempty"`
	Row *Row `json:"row,omitempty"`
}

// Read reads a file. One that is not there gives an empty history.
func Read(path string) (h History, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for n := 1; lines.Scan(); n++ {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return h, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		switch {
		case l.Run != nil:
			h.Runs = append(h.Runs, *l.Run)
		case l.Row != nil:
			h.Rows = append(h.Rows, *l.Row)
		default:
			return h, fmt.Errorf("%s:%d: neither a run nor a row", path, n)
		}
	}
	return h, lines.Err()
}

// Append writes a run and its rows to the end of a file, which it makes if need be.
func Append(path string, run Run, rows []Row) error {
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	if err := out.Encode(line{Run: &run}); err != nil {
		return err
	}
	for i := range rows {
		if err := out.Encode(line{Row: &rows[i]}); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text.Bytes())
	return errors.Join(err, f.Close())
}
