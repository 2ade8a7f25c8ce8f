//go:build linux

package terminal

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/containerd/console"

	"git.moleculesai.app/molecule-ai/pinion/internal/heartbeat"
)

// pty returns a terminal and a function that closes it and returns its output.
func pty(t *testing.T) (tty *os.File, shown func() string) {
	t.Helper()
	master, path, err := console.NewPty()
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	if err := master.Resize(console.WinSize{Width: 80, Height: 24}); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := make(chan string)
	go func() {
		var screen bytes.Buffer
		// It ends with EIO when the last writer has closed.
		_, _ = io.Copy(&screen, master)
		all <- screen.String()
	}()
	return tty, func() string {
		tty.Close()
		defer master.Close()
		return <-all
	}
}

func TestTTYHoldsLinesAndResultsUntilTheDisplayIsDone(t *testing.T) {
	tty, shown := pty(t)
	var pipe bytes.Buffer
	term, err := New(tty, Auto)
	if err != nil {
		t.Fatal(err)
	}
	log := term.Logger(slog.LevelInfo)
	log.Info("before")
	term.Progress("one", step("first", ""))
	log.Info("meanwhile")
	log.Info("still building", heartbeat.Line())
	fmt.Fprintln(term.Stdout(tty), "reference")
	fmt.Fprintln(term.Stdout(&pipe), "piped")
	if pipe.String() != "piped\n" {
		t.Errorf("the reader of a pipe waits: %q", pipe.String())
	}
	term.Progress("one", step("second", ""))
	if err := term.Close(); err != nil {
		t.Error(err)
	}
	got := shown()
	if !strings.HasPrefix(got, "before\r\n") ||
		!strings.HasSuffix(got, "meanwhile\r\nreference\r\n") {
		t.Errorf("got:\n%q", got)
	}
	if !strings.Contains(got, "[+] Building") || !strings.Contains(got, "FINISHED") {
		t.Errorf("no display in:\n%q", got)
	}
}
