package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
)

// TestHistoryOnAFullDisk: the history is lost, and nothing else.
func TestHistoryOnAFullDisk(t *testing.T) {
	s := newScene(t, classicOwn)
	s.prepare(t, "RUN echo one > /word")
	disk := disktest.Small(t, "size=1m")
	u := s.with("PINION_HISTORY", filepath.Join(disk, "history"))
	if list := u.history(t); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	disktest.Fill(t, filepath.Join(disk, "filler"))
	for range 2 {
		r := u.succeed(t, "ensure", runtime)
		if !strings.Contains(r.stderr, "the history of builds has gaps from now on") {
			t.Errorf("no warning: %s", r.stderr)
		}
	}
}
