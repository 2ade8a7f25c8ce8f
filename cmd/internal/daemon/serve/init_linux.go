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

// lockWithin is how long the root's lock may be taken when nobody works on it any more.
const lockWithin = 2 * time.Second

// supervise is the first process of the namespaces. It makes them fit, runs BuildKit as the second,
// reaps what BuildKit's children leave, and writes the log. It holds the root's lock: when that is
// free, all is over.
func supervise(s daemon.Settings) error {
	if os.Getpid() != 1 {
		return errors.New("it is not the first process of its namespace; it is started by " +
			"pinion, not by hand")
	}
	return holding(s.LockFile(), lockWithin, func() error { return run(s) })
}

// holding works under a lock, which the end of the process frees and nothing before the work's end.
func holding(file string, within time.Duration, work func() error) error {
	// Whoever waits for a daemon to end holds the lock for a moment.
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	lock := flock.New(file, flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, time.Millisecond); err != nil {
		return fmt.Errorf("another one works on %s (%w)", filepath.Dir(file), err)
	}
	// Garbage collection would close a file that nobody refers to.
	defer runtime.KeepAlive(lock)
	return work()
}

// run is the daemon's life.
func run(s daemon.Settings) error {
	if err := furnish(s); err != nil {
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

// runSecond starts the second process and returns its exit code.
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
			// handed on as it is; package daemon has chosen it
			Dir: "/", Env: append(os.Environ(), "TMPDIR="+s.TempDir()), //nolint:forbidigo
			Files: []*os.File{null, w, w, ready},
		})
	w.Close()
	null.Close()
	if err != nil {
		return 0, err
	}
	ready.Close() // it is the second's now, and ends with it
	written := make(chan struct{})
	go func() {
		_, _ = io.Copy(log, r)
		close(written)
	}()
	forwardSignals(second)
	code := reap(second.Pid)
	select {
	case <-written:
	case <-time.After(time.Second): // somebody else has the pipe still
	}
	return code, nil
}

// forwardSignals hands on what asks us to end.
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

// reap waits for all children, those adopted too, until the one has ended. It must be the only one
// here that waits.
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

// killRest ends what is left in our namespace and returns when it has ended. The kernel would do
// that too, though only after it has given back the lock.
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
