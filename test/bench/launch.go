package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// launcher is the path of the program that starts what is measured.
type launcher string

// launch is what the launcher measured.
type launch struct {
	// begun is before the program was started, executed when exec(2) was done, and ended after it
	// was waited for; by the system's clock, which is compared with that of other processes.
	begun, executed, ended time.Time
	// memory is the largest number of resident bytes of any of its processes; 0 if not known.
	memory int64
	output string // stdout and stderr
}

// took is the length of the run.
func (l launch) took() time.Duration { return l.ended.Sub(l.begun) }

// buildLauncher makes the program in a folder. It must run in the source tree.
func buildLauncher(ctx context.Context, dir string) (launcher, error) {
	path := filepath.Join(dir, "launcher")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path,
		"git.moleculesai.app/molecule-ai/pinion/test/bench/launcher")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the launcher: %w\n%s", err, out)
	}
	return launcher(path), nil
}

// run runs a program, whose path is args[0], to its end. When ctx ends, the program is interrupted.
func (l launcher) run(ctx context.Context, args, env []string) (launch, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return launch{}, err
	}
	defer r.Close()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, string(l), args...)
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.ExtraFiles = []*os.File{w}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Start()
	_ = w.Close() // the launcher has its own
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return launch{output: out.String()}, err
	}
	return readLaunch(r, out.String())
}

// readLaunch reads the launcher's line.
func readLaunch(r io.Reader, output string) (launch, error) {
	var begun, executed, ended, memory int64
	if _, err := fmt.Fscan(r, &begun, &executed, &ended, &memory); err != nil {
		return launch{}, fmt.Errorf("read the launcher's report: %w", err)
	}
	return launch{time.Unix(0, begun), time.Unix(0, executed), time.Unix(0, ended), memory,
		output}, nil
}
