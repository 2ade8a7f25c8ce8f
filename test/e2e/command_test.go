package e2e_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// Exit codes.
const (
	exitGeneral      = 1
	exitNotFound     = 10
	exitUnauthorized = 11
	exitUnreachable  = 12
	exitNoBuilder    = 13
	exitStore        = 14
	exitBuild        = 20
	exitUsage        = 64
	exitContainer    = 125
	exitCancelled    = 130
)

// binary is the command, built once for the suite. It has nothing to close.
type binary struct{ path string }

func (binary) Close() error { return nil }

func pinionBinary(t *testing.T) string {
	t.Helper()
	return build(t, "pinion")
}

// build makes a program of cmd/pinion, with flags of `go build`, and keeps it under the name.
func build(t *testing.T, name string, flags ...string) string {
	t.Helper()
	return buildPackage(t, name, "./cmd/pinion", flags...)
}

func buildPackage(t *testing.T, name, pkg string, flags ...string) string {
	t.Helper()
	partstest.Need(t, parts.NameGit)
	b := keep(t, name, func(_ context.Context, dir string) (binary, error) {
		path := filepath.Join(dir, name)
		cmd := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), pkg)...)
		cmd.Dir = root(t)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		return binary{path}, nil
	})
	return b.path
}

// process is a running command.
type process struct {
	*exec.Cmd
	stdout, stderr *output
	done           chan struct{}
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start starts the command. It is killed with the test.
func (u user) start(t *testing.T, args ...string) *process {
	t.Helper()
	return u.launch(t, pinionBinary(t), nil, args...)
}

// startProgram is start for another build of the command.
func (u user) startProgram(t *testing.T, path string, args ...string) *process {
	t.Helper()
	return u.launch(t, path, nil, args...)
}

// startReading is start with something on stdin.
func (u user) startReading(t *testing.T, stdin io.Reader, args ...string) *process {
	t.Helper()
	return u.launch(t, pinionBinary(t), stdin, args...)
}

func (u user) launch(t *testing.T, path string, stdin io.Reader, args ...string) *process {
	t.Helper()
	p := &process{exec.Command(path, args...), &output{}, &output{}, make(chan struct{})}
	p.Env, p.Dir = u.environ(), u.env["HOME"]
	p.Stdin, p.Stdout, p.Stderr = stdin, p.stdout, p.stderr
	p.WaitDelay = 10 * time.Second
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.Wait() // the exit code is checked
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as `kill -9` does.
func (p *process) kill() {
	_ = p.Process.Kill()
	<-p.done
}

// wait returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	receive(t, "the end of "+strings.Join(p.Args, " "), p.done)
	return p.ProcessState.ExitCode()
}

// result is what a command came to.
type result struct {
	stdout, stderr string
	code           int
}

func (p *process) result(t *testing.T) result {
	t.Helper()
	code := p.wait(t)
	return result{p.stdout.String(), p.stderr.String(), code}
}

// run runs the command to its end.
func (u user) run(t *testing.T, args ...string) result {
	t.Helper()
	return u.start(t, args...).result(t)
}

// succeed runs the command, which must exit with 0.
func (u user) succeed(t *testing.T, args ...string) result {
	t.Helper()
	r := u.run(t, args...)
	if r.code != 0 {
		t.Fatalf("pinion %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// fail runs the command, which must exit with the code, print all the words on stderr and nothing
// on stdout.
func (u user) fail(t *testing.T, code int, words []string, args ...string) result {
	t.Helper()
	r := u.run(t, args...)
	if r.code != code || r.stdout != "" {
		t.Errorf("pinion %s: exit code %d, not %d; stdout %q\n%s", strings.Join(args, " "), r.code,
			code, r.stdout, r.stderr)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("pinion %s: stderr does not say %q:\n%s",
				strings.Join(args, " "), word, r.stderr)
		}
	}
	return r
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
