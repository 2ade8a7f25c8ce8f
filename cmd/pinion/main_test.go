//go:build unix

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// role makes the test's binary play a part instead of running tests.
const role = "PINION_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "pinion":
		main()
	case "stubborn":
		stubborn()
	default:
		os.Exit(m.Run())
	}
}

// stubborn continues to run after it was cancelled.
func stubborn() {
	ctx, _ := interruptible(context.Background())
	os.Stdout.WriteString("ready\n")
	<-ctx.Done()
	os.Stdout.WriteString("cancelled\n")
	time.Sleep(time.Minute)
}

// play returns this binary in a role, with an environment of its own.
func play(t *testing.T, as string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = []string{role + "=" + as, "HOME=" + t.TempDir()}
	return cmd
}

func TestSignalCancelsAndExits130(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			requests, over := make(chan struct{}, 2), make(chan struct{})
			gitServer := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
				*http.Request) {
				requests <- struct{}{}
				<-over
			}))
			defer gitServer.Close()
			defer close(over)
			cmd := play(t, "pinion", "ensure", "--repo-prefix", gitServer.URL+"/t/x-",
				"claude-code", "hermes")
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-requests:
			case <-time.After(20 * time.Second):
				t.Error("the git server was not asked")
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 130 || stdout.Len() != 0 ||
				stderr.String() != "pinion: error: cancelled\n" {
				t.Errorf("code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
			}
		})
	}
}

func TestSecondSignalEndsItAtOnce(t *testing.T) {
	cmd := play(t, "stubborn")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ready\n", "cancelled\n"} {
		line := make([]byte, len(want))
		if _, err := out.Read(line); err != nil || string(line) != want {
			t.Fatalf("got %q, %v", line, err)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	// The default effect returns shortly after the first signal, so an early second signal may have
	// no effect.
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-ended:
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok ||
				status.Signal() != syscall.SIGINT {
				t.Errorf("ended with %v", err)
			}
			return
		case <-again.C:
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
}

func TestUsageErrorOfTheProgram(t *testing.T) {
	cmd := play(t, "pinion", "ensure", "nosuch")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 10 ||
		!strings.Contains(string(out), "claude-code") {
		t.Errorf("code %d: %s", code, out)
	}
}
