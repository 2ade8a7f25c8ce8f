//go:build unix

package history

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

const envWriter = "HISTORY_TEST_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envWriter); dir != "" {
		writeForever(dir)
	}
	os.Exit(m.Run())
}

// writeForever records builds and hits until the process is killed. It prints each ID when Close
// has returned, so that the build must be there.
func writeForever(dir string) {
	d, err := Open(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		r := recorderOf("ensure", d, os.Stdout)
		b := newRun(fmt.Sprintf("P%d-%d", os.Getpid(), i), "a", time.Now())
		r.Observe(b)
		for range 20 {
			b.print("a line")
		}
		r.Observe(hitRun(fmt.Sprintf("H%d-%d", os.Getpid(), i), "h", time.Now()))
		b.end(pinion.BuildDone)
		r.Close(neverEnds{})
		fmt.Println(b.ID())
	}
}

// neverEnds is a context for a process that is killed.
type neverEnds struct{}

func (neverEnds) Deadline() (time.Time, bool) { return time.Time{}, false }
func (neverEnds) Done() <-chan struct{}       { return nil }
func (neverEnds) Err() error                  { return nil }
func (neverEnds) Value(any) any               { return nil }

func TestKilledInMidWrite(t *testing.T) {
	d := folder(t, DefaultLimits)
	d.now = time.Now
	var written []string
	for i := range 8 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), envWriter+"="+d.Path())
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 3 {
			if !lines.Scan() {
				t.Fatal("it ended")
			}
			written = append(written, lines.Text())
		}
		time.Sleep(time.Duration(i) * 3 * time.Millisecond) // somewhere in the next build
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(out)
		written = append(written, strings.Fields(string(rest))...)
		_ = cmd.Wait()
	}
	got := map[string]Build{}
	for _, b := range list(t, d, Filter{}) {
		got[b.ID] = b
		if b.IsRunning() {
			t.Errorf("%s runs", b.ID)
		}
	}
	for _, id := range written {
		if b := got[id]; b.State != pinion.BuildDone || lines(t, d, id) == "" {
			t.Errorf("%q: %+v", id, b)
		}
	}
}

func TestNoRoomForAJournal(t *testing.T) {
	d := folder(t, DefaultLimits)
	if os.Geteuid() == 0 {
		t.Log("root writes everywhere; a folder in the way stands for the disk")
	}
	if err := os.WriteFile(d.Path()+"/"+dirJournals, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var warnings bytes.Buffer
	r := recorder(d, &warnings)
	for i := range 3 {
		b := newRun(fmt.Sprint("ID", i), "a", start)
		r.Observe(b)
		b.end(pinion.BuildDone)
	}
	r.Close(t.Context())
	if n := strings.Count(warnings.String(), "\n"); n != 1 {
		t.Errorf("%d warnings: %s", n, &warnings)
	}
}
