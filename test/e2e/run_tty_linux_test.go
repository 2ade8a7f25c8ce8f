package e2e_test

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"
)

// TestRunOnATerminal: the container has a terminal of the same size, keys go to it, and ours is
// afterwards what it was.
func TestRunOnATerminal(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "CMD true")
		master, path, err := console.NewPty()
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
		if err := master.Resize(console.WinSize{Width: 101, Height: 37}); err != nil {
			t.Fatal(err)
		}
		tty, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer tty.Close()
		shown := &output{}
		go func() { _, _ = io.Copy(shown, master) }()
		before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}

		// Ctrl-C is a key: it interrupts what runs in the container.
		script := `trap 'key=1; echo interrupted' INT
			until [ "$(stty size)" = "37 101" ]; do sleep 0.1; done
			echo sized; until [ "$key" ]; do sleep 0.1; done
			read word; echo "got <$word>"; exit 4`
		cmd := exec.Command(pinionBinary(t), "run", "--rm", "--name", s.prefix+"tty", runtime, "--",
			"sh", "-c", script)
		cmd.Env = append(s.direct(t).environ(), "BUILDKIT_PROGRESS=plain")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = cmd.Wait()
		}()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
		shows := func(text string) {
			t.Helper()
			eventually(t, text+" on the screen", func() bool {
				return strings.Contains(shown.String(), text)
			})
		}
		shows("sized")
		_, _ = master.Write([]byte("\x03"))
		shows("interrupted")
		_, _ = master.Write([]byte("hello\r"))
		shows("got <hello>")
		receive(t, "the end", done)
		if code := cmd.ProcessState.ExitCode(); code != 4 {
			t.Errorf("exit code %d\n%s", code, shown)
		}
		after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if *after != *before {
			t.Errorf("the terminal was %+v and is %+v", before, after)
		}
	})
}
