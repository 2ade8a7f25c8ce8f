package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// childPath is the PATH that daemons get: fixed, so that a caller's environment never decides which
// runc is run.
const childPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// command says how a component is run.
type command struct {
	name string // for messages and the log's file name
	dir  string // working folder, and where the log goes
	path string
	args []string
	env  []string // added to PATH and HOME
	// isolated gives the process mount and process namespaces and an empty /run of its own. When it
	// ends, the kernel ends everything it started and drops every mount it made.
	isolated bool
	// grace is how long the process has after SIGTERM before it is killed; 0 kills at once.
	grace time.Duration
}

// process is one running component.
type process struct {
	command
	logPath string
	proc    *os.Process
	done    chan struct{} // closed when the process has been waited for
	err     error         // of the wait; read after done
}

// run starts c with its output appended to <dir>/<name>.log.
func run(c command) (*process, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	p := &process{command: c, logPath: filepath.Join(c.dir, c.name+".log"),
		done: make(chan struct{})}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	defer log.Close()
	cmd := c.build()
	cmd.Stdout, cmd.Stderr = log, log
	if err := p.launch(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	return p, nil
}

func (c command) build() *exec.Cmd {
	path, args := c.path, c.args
	if c.isolated {
		path, args = isolate(c)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = c.dir
	cmd.Env = append([]string{childPath, "HOME=" + c.dir, "LC_ALL=C"}, c.env...)
	cmd.SysProcAttr = attributes(c.isolated)
	return cmd
}

// launch starts cmd and waits for it in a goroutine that keeps its thread: the parent-death signal
// is sent when the starting thread ends, not the process, so that thread must live as long as the
// child.
func (p *process) launch(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		p.proc = cmd.Process
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	return <-started
}

// ready polls probe until it succeeds. It gives up when the process ends or ctx does, and then ends
// the process; the error carries the last lines of the log.
func (p *process) ready(ctx context.Context, probe func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.explain(fmt.Errorf("ended while starting: %w", errors.Join(p.err, err)))
		case <-ctx.Done():
			p.kill()
			return p.explain(fmt.Errorf("did not become ready: %w (last answer: %w)",
				ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// stop ends the process: SIGTERM, the grace time, SIGKILL. It returns when the process is gone, and
// may be called again.
func (p *process) stop() {
	if p.grace > 0 {
		_ = p.signal(syscall.SIGTERM)
		timer := time.NewTimer(p.grace)
		defer timer.Stop()
		select {
		case <-p.done:
		case <-timer.C:
		}
	}
	p.kill()
}

// kill ends the process and all of its group at once, and returns when it is gone.
func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) explain(err error) error {
	return fmt.Errorf("%s: %w\n--- last lines of %s:\n%s", p.name, err, p.logPath, p.logTail())
}

// logTail returns about the last 4 KB of the log, from a line's start.
func (p *process) logTail() string {
	const limit = 4 << 10
	f, err := os.Open(p.logPath)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > limit {
		_, _ = f.Seek(-limit, io.SeekEnd)
	}
	tail, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	if len(tail) == limit {
		_, tail, _ = bytes.Cut(tail, []byte("\n"))
	}
	return string(tail)
}
