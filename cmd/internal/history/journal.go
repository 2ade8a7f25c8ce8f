package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/filelock"
)

// journalVersion is the version of the lines of a journal.
const journalVersion = 1

// line is one line of a journal or of the hits. A journal begins and ends with a build.
type line struct {
	Version int           `json:"v,omitempty"` // of the first line
	Build   *Build        `json:"build,omitempty"`
	Event   *pinion.Event `json:"event,omitempty"`
}

// journal is the file of a build that runs. Its lock is held as long as the process writes.
type journal struct {
	file  *os.File
	lock  *filelock.File
	limit int64
	size  int64
	// left counts the lines left out, of which lastLeft is the last.
	left     int
	lastLeft pinion.Event
}

// newJournal creates the journal of a build.
func (d *Dir) newJournal(id string) (*journal, error) {
	lock, err := filelock.Open(d.root, journalLock(id), 0o600)
	if err != nil {
		return nil, err
	}
	if ok, err := lock.Try(filelock.Alone); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("the journal of %s is in use", id), err, lock.Close())
	}
	f, err := d.root.OpenFile(journalFile(id), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, errors.Join(err, lock.Close(), d.remove(journalLock(id)))
	}
	return &journal{file: f, lock: lock, limit: d.limits.JournalBytes}, nil
}

func (j *journal) write(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	n, err := j.file.Write(append(text, '\n'))
	j.size += int64(n)
	return err
}

// event writes an event. Beyond the limit it leaves out what steps print, and says so before the
// last event.
func (j *journal) event(e pinion.Event) error {
	if e.Type == pinion.EventLog && j.size > j.limit {
		j.left++
		j.lastLeft = e
		return nil
	}
	if isLast := e.Type == pinion.EventDone || e.Type == pinion.EventFailed; isLast && j.left > 0 {
		text := fmt.Sprintf("%d more lines were printed, which the history does not have", j.left)
		if err := j.write(line{Event: &pinion.Event{ID: j.lastLeft.ID, Type: pinion.EventNotice,
			Time: j.lastLeft.Time, Name: e.Name, Text: text}}); err != nil {
			return err
		}
	}
	return j.write(line{Event: &e})
}

// resume begins a new line, after a write that failed may have left a part of one.
func (j *journal) resume() error {
	_, err := j.file.WriteString("\n")
	return err
}

func (j *journal) close() error { return errors.Join(j.file.Close(), j.lock.Close()) }

// maxLine bounds a line that is read. A receipt with the longest log of a step is far below it.
const maxLine = 16 << 20

// readLines calls f for each whole line that is wanted. A line that a killed process left
// unfinished, or that is no JSON, is skipped.
func readLines(r io.Reader, wanted func([]byte) bool, f func(line)) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), maxLine)
	for s.Scan() {
		var l line
		if wanted(s.Bytes()) && json.Unmarshal(s.Bytes(), &l) == nil {
			f(l)
		}
	}
	return s.Err()
}

// errEmpty: the process was killed before it had written the first line, or the disk was full.
var errEmpty = errors.New("the journal has no build")

// readJournal returns a build as its journal has it so far, and its events if they are wanted.
func readJournal(r io.Reader, withEvents bool) (b Build, events []pinion.Event, err error) {
	version, seen := 0, false
	err = readLines(r, func(text []byte) bool {
		return withEvents || !bytes.HasPrefix(text, []byte(`{"event":`))
	}, func(l line) {
		version = max(version, l.Version)
		if l.Build != nil {
			b, seen = *l.Build, true
		}
		if l.Event != nil {
			events = append(events, *l.Event)
		}
	})
	switch {
	case err != nil:
		return b, nil, err
	case version > journalVersion:
		return b, nil, ErrNewer
	case !seen:
		return b, nil, errEmpty
	}
	return b, events, nil
}
