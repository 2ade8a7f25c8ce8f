//go:build unix

package detached_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/detached"
)

// TestMain is also the programs of the tests: one that starts another, and that one.
func TestMain(m *testing.M) {
	switch file := os.Getenv("DETACHED_FILE"); {
	case os.Getenv("DETACHED_STARTS") != "":
		env := append(os.Environ(), "DETACHED_STARTS=", "DETACHED_STARTER="+
			strconv.Itoa(os.Getpid()))
		if err := detached.Start(os.Args[0], nil, env); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	case file != "":
		for os.Getppid() == starter() { // it ends first, and its group gets its signal
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		_ = os.WriteFile(file, []byte("done"), 0o600)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// starter is the process that started this one.
func starter() int {
	pid, _ := strconv.Atoi(os.Getenv("DETACHED_STARTER"))
	return pid
}

// TestStart starts a process whose starter has ended, and whose starter's group is interrupted.
func TestStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	starter := exec.CommandContext(t.Context(), os.Args[0])
	starter.Env = append(os.Environ(), "DETACHED_STARTS=1", "DETACHED_FILE="+file)
	starter.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	starter.Stdout, starter.Stderr = &out, &out // a pipe: Run ends when nobody holds it
	if err := starter.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	_ = syscall.Kill(-starter.Process.Pid, syscall.SIGINT)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if strings.TrimSpace(string(text)) == "done" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the process came to nothing: %v", err)
		}
	}
}
