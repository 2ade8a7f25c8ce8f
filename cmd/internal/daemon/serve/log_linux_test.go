package serve

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

func TestLogHasABound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	l.max = 100
	line := bytes.Repeat([]byte("x"), 30)
	for range 50 {
		if n, err := l.Write(line); n != 30 || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, name := range []string{path, daemon.OldLog(path)} {
		info, err := os.Stat(name)
		if err != nil || info.Size() > 100 || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	again, err := openLog(path)
	if err != nil || again.size == 0 {
		t.Errorf("it does not append to an existing log: %v, %v", again, err)
	}
}
