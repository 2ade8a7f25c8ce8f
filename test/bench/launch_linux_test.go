package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMemoryIsTheProgramsOwn has 200 MB in this process while it starts programs. By the usage that
// wait4(2) gives, a child of this process has no less.
func TestMemoryIsTheProgramsOwn(t *testing.T) {
	l, err := buildLauncher(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const megabyte = 1_000_000
	ballast := make([]byte, 200*megabyte)
	for i := 0; i < len(ballast); i += os.Getpagesize() {
		ballast[i] = 1
	}
	for script, want := range map[string]struct{ least, most int64 }{
		"exec true": {1, 10 * megabyte},
		// tail keeps it all, and the shell has it for a child.
		"head -c 50000000 /dev/zero | tail -c 50000000 >/dev/null; true": {50 * megabyte,
			60 * megabyte},
	} {
		got, err := l.run(t.Context(), []string{"/bin/sh", "-euc", script}, os.Environ())
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, got.output)
		}
		if got.memory < want.least || got.memory > want.most {
			t.Errorf("%s: %d bytes, not between %d and %d", script, got.memory, want.least,
				want.most)
		}
		t.Logf("%s: %d bytes", script, got.memory)
	}
	if ballast[0] != 1 {
		t.Error("the ballast is gone")
	}
}

func TestLauncher(t *testing.T) {
	l, err := buildLauncher(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.run(t.Context(), []string{"/bin/sh", "-c", "echo out; echo err >&2"}, nil)
	if err != nil || got.output != "out\nerr\n" {
		t.Errorf("output %q, %v", got.output, err)
	}
	if got.begun.After(got.executed) || got.executed.After(got.ended) ||
		time.Since(got.begun) > time.Hour {
		t.Errorf("the times are %s, %s, %s", got.begun, got.executed, got.ended)
	}
	for script, want := range map[string]string{"exit 3": "exit status 3",
		"kill -KILL $$": "exit status 137"} {
		_, err := l.run(t.Context(), []string{"/bin/sh", "-c", script}, nil)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, not %s", script, err, want)
		}
	}
	got, err = l.run(t.Context(), []string{"/no/such/program"}, nil)
	if err == nil || !strings.Contains(got.output, "/no/such/program") {
		t.Errorf("of no program: %v, %q", err, got.output)
	}
}

// TestInterruptReachesTheProgram ends the context of a program that says what it got.
func TestInterruptReachesTheProgram(t *testing.T) {
	l, err := buildLauncher(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	up := t.TempDir() + "/up"
	ctx, cancel := contextUntilFile(t, up)
	defer cancel()
	got, err := l.run(ctx, []string{"/bin/sh", "-c",
		`trap 'echo interrupted; exit 5' INT; : > "$1"; while :; do sleep 0.05; done`, "sh", up},
		os.Environ())
	if err == nil || !strings.Contains(got.output, "interrupted") {
		t.Errorf("%v, %q", err, got.output)
	}
}

// contextUntilFile returns a context that ends when a file is there.
func contextUntilFile(t *testing.T, path string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if _, err := os.Stat(path); err == nil {
				cancel()
			}
			<-tick.C
		}
	}()
	return ctx, cancel
}
