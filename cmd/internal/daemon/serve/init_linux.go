package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// lockTimeout bounds the wait for the root's lock. Commands hold it for a moment.
const lockTimeout = 2 * time.Second

// supervise is the first process of the namespaces. It prepares them, runs BuildKit as the second
// process, reaps orphans, and writes the log. It holds the root's lock: when the lock is free, the
// daemon has ended.
func supervise(s daemon.Settings) error {
	if os.Getpid() != 1 {
		return errors.New("it is not the first process of its namespace; pinion starts it, it is " +
			"not started by hand")
	}
	return withLock(s.LockFile(), lockTimeout, func() error { return run(s) })
}

// withLock calls work under a file lock. Only the end of the process releases the lock.
func withLock(file string, timeout time.Duration, work func() error) error {
	// A command that waits for a daemon to end holds the lock for a moment.
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	lock := flock.New(file, flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, time.Millisecond); err != nil {
		return fmt.Errorf("another daemon works on %s (%w)", filepath.Dir(file), err)
	}
	// Garbage collection would close an unreferenced file.
	defer runtime.KeepAlive(lock)
	return work()
}

// run sets the namespaces up, runs BuildKit and cleans up.
func run(s daemon.Settings) error {
	if err := setUpNamespaces(s); err != nil {
		return err
	}
	log, err := openLog(s.LogFile())
	if err != nil {
		return err
	}
	code, err := runSecond(s, log)
	killRest()
	removeCgroups(cgroupParent(s.Root))
	if err == nil && code != 0 {
		err = exitError(code)
	}
	return err
}

// runSecond runs the second process and returns its exit code.
func runSecond(s daemon.Settings, log io.Writer) (int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	s.Stage = daemon.StageServe
	ready := os.NewFile(readyFD, "ready")
	second, err := os.StartProcess("/proc/self/exe", append([]string{os.Args[0]}, s.Args()...),
		&os.ProcAttr{
			// Package daemon has selected the environment.
			Dir: "/", Env: append(os.Environ(), "TMPDIR="+s.TempDir()),
			Files: []*os.File{null, w, w, ready},
		})
	w.Close()
	null.Close()
	if err != nil {
		return 0, err
	}
	ready.Close() // the second process owns it now
	written := make(chan struct{})
	go func() {
		_, _ = io.Copy(log, r)
		close(written)
	}()
	forwardSignals(second)
	code := reap(second.Pid)
	select {
	case <-written:
	case <-time.After(time.Second): // another process still has the pipe
	}
	return code, nil
}

// forwardSignals forwards the signals that ask for the end.
func forwardSignals(to *os.Process) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGTERM, unix.SIGINT)
	signal.Ignore(unix.SIGHUP)
	go func() {
		for range c {
			_ = to.Signal(unix.SIGTERM)
		}
	}()
}

// reap waits for all children, adopted ones included, until the process with that PID has ended,
// and returns its exit code. No other code of this process may wait for children.
func reap(pid int) (code int) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 1
		case got != pid:
			continue
		case status.Signaled():
			return 128 + int(status.Signal())
		}
		return status.ExitStatus()
	}
}

// killRest kills the other processes of the namespace and waits for their end. The kernel would
// kill them too, but only after it has released the lock.
func killRest() {
	if os.Getpid() != 1 {
		return
	}
	_ = unix.Kill(-1, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
