package parts_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// crashDir, in the environment, makes this test program start parts there and wait to be killed.
const crashDir = "PINION_PARTS_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		startAndWait(dir)
	}
	os.Exit(m.Run())
}

// TestKilledParentLeavesNoProcesses kills a process that runs parts: the kernel must end their
// daemons, and the next start must remove the rest.
func TestKilledParentLeavesNoProcesses(t *testing.T) {
	partstest.Need(t, parts.NameGitea, parts.NameBuildkitd, string(parts.Docker29Containerd))
	dir := partstest.Dir(t)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child said %q: %v", line, err)
	}
	bridge := "pin" + fmt.Sprint(child.Process.Pid) + "-"
	if !strings.Contains(shell(t, "ip -o link"), bridge) {
		t.Errorf("the child has no bridge %s*", bridge)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed, as it should be
	awaitNothing(t,
		"ps -eo pid=,args= | grep -F '"+dir+"' | grep -v grep; "+
			"grep -F '"+dir+"' /proc/self/mountinfo; true")
	partstest.Dockerd(t, parts.Docker29Containerd)
	awaitNothing(t,
		"ip -o link | grep '"+bridge+"'; find /sys/fs/cgroup -name 'pinion"+fmt.Sprint(
			child.Process.Pid,
		)+"-*'; true")
}

// startAndWait is the child: it starts parts, says so and waits for its end.
func startAndWait(dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := parts.StartGitea(ctx, dir+"/gitea")
	if err == nil {
		_, err = parts.StartBuildkitd(ctx, dir+"/buildkitd", parts.BuildkitdOptions{})
	}
	if err == nil {
		_, err = parts.StartDockerd(ctx, dir+"/dockerd", parts.Docker29Containerd)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	select {}
}

// awaitNothing waits until a command prints nothing.
func awaitNothing(t *testing.T, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out := shell(t, script)
		if out == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("still there:\n%s", out)
		case <-tick.C:
		}
	}
}

func shell(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
	return string(out)
}
