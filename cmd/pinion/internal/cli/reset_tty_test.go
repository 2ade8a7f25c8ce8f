//go:build linux

package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/console"
)

// onTerminal runs a command line on a terminal on which somebody types. The result has as stderr
// what the terminal showed.
func onTerminal(
	ctx context.Context, t *testing.T, f *fake, keys string, args ...string,
) run {
	t.Helper()
	master, path, err := console.NewPty()
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	defer master.Close()
	tty, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		var screen bytes.Buffer
		_, _ = io.Copy(&screen, master) // it ends with EIO when the last writer has closed
		shown <- screen.String()
	}()
	if _, err := io.WriteString(master, keys); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	p := program(f, nil, &stdout, nil)
	p.Stdin, p.Stderr = tty, tty
	code := Run(ctx, p, args)
	// A reader that nobody waits for holds the terminal open.
	if _, err := io.WriteString(master, "\n"); err != nil {
		t.Error(err)
	}
	tty.Close()
	return run{code, stdout.String(), <-shown}
}

func dryRuns(f *fake) (dry []bool) {
	for _, r := range f.resets {
		dry = append(dry, r.DryRun)
	}
	return dry
}

func TestResetAsksOnATerminal(t *testing.T) {
	for keys, c := range map[string]struct {
		code int
		dry  []bool // the calls
	}{
		"y\n": {0, []bool{true, false}}, "YES\n": {0, []bool{true, false}},
		"n\n": {130, []bool{true}}, "\n": {130, []bool{true}}, "\x04": {130, []bool{true}},
		"yeah\n": {130, []bool{true}},
	} {
		f := everything(t)
		got := onTerminal(t.Context(), t, f, keys, "reset", "one")
		if got.code != c.code || !slices.Equal(dryRuns(f), c.dry) ||
			!strings.Contains(got.stderr, "remove ") ||
			!strings.Contains(got.stderr, "Remove these?") ||
			(c.code == 0) != strings.Contains(got.stdout, "removed") ||
			(c.code != 0) != strings.Contains(got.stderr, "nothing was removed") {
			t.Errorf("%q: %+v, calls %v", keys, got, dryRuns(f))
		}
	}
	f := everything(t)
	f.pruned.Items = f.pruned.Items[:1] // which stays
	if got := onTerminal(t.Context(), t, f, "", "reset"); got.code != 0 ||
		!slices.Equal(dryRuns(f), []bool{true}) || strings.Contains(got.stderr, "Remove these?") {
		t.Errorf("nothing to remove: %+v", got)
	}
}

func TestResetWithoutAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := everything(t)
	f.onReset = cancel
	if got := onTerminal(ctx, t, f, "", "reset"); got.code != 130 || len(f.resets) != 1 {
		t.Errorf("%+v, calls %v", got, dryRuns(f))
	}
}
