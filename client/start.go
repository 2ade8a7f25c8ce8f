package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// startTimeout bounds the start of a server if the context has no deadline.
	startTimeout = 30 * time.Second
	// probeInterval is the time between two questions whether the server answers.
	probeInterval = 20 * time.Millisecond
	// patience is how long a start is repeated while another server holds the socket, for example
	// because it is about to end.
	patience = 10 * time.Second
	// usageCode is the exit code of a server whose settings are wrong.
	usageCode = 64
)

// StartOption adjusts [Start].
type StartOption func(*starter)

// WithProgram sets the program `pinion`, as a name on PATH or as a path. The default is "pinion".
func WithProgram(name string) StartOption { return func(s *starter) { s.program = name } }

// WithIdleExit sets the time without a request or a build after which the server ends. The default
// is 10 minutes.
func WithIdleExit(d time.Duration) StartOption { return func(s *starter) { s.idleExit = d } }

// WithSocketFolder sets the folder of the socket and of the server's log. Only this user may be
// able to write to it. The default is pinion in $XDG_RUNTIME_DIR, or one for this user in the
// folder for temporary files.
func WithSocketFolder(path string) StartOption { return func(s *starter) { s.folder = path } }

// WithServeFlags adds flags to `pinion serve`, for example "--max-parallel", "2".
func WithServeFlags(flags ...string) StartOption {
	return func(s *starter) { s.flags = append(s.flags, flags...) }
}

// Start returns a client of a server of this user. It starts `pinion serve` unless one with the
// same settings runs: the same program, flags and environment variables that Pinion reads. The
// server outlives this process and ends when it is idle. If it has ended by the next request for an
// image, the client starts it again.
//
// For a server that is started by other means use [New].
func Start(ctx context.Context, opts ...StartOption) (*Client, error) {
	s := &starter{program: "pinion", idleExit: 10 * time.Minute}
	for _, o := range opts {
		o(s)
	}
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("start a server of Pinion: %w", err)
	}
	c, err := New("unix://" + filepath.ToSlash(s.socket))
	if err != nil {
		return nil, err
	}
	s.client = c
	c.start = s.start
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// starter starts a server.
type starter struct {
	program, folder string
	idleExit        time.Duration
	flags           []string

	client       *Client
	socket, logs string
}

// starting is held during a start, so that a process starts one server. Of the servers of several
// processes that start at once, one gets the socket and the others end.
var starting sync.Mutex

// prepare finds the program, and makes the folder of the socket.
func (s *starter) prepare() error {
	path, err := exec.LookPath(s.program)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoServer, err)
	}
	if s.program, err = filepath.Abs(path); err != nil {
		return err
	}
	if s.folder == "" {
		s.folder = defaultFolder()
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	if err := checkFolder(s.folder); err != nil {
		return err
	}
	id, err := s.identity()
	if err != nil {
		return err
	}
	s.socket = filepath.Join(s.folder, "client-"+id+".sock")
	s.logs = filepath.Join(s.folder, "client-"+id+".log")
	return nil
}

func defaultFolder() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "pinion")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("pinion-%d", os.Getuid()))
}

// start returns when a server answers. It starts one if none does.
func (s *starter) start(ctx context.Context) error {
	starting.Lock()
	defer starting.Unlock()
	if _, ok := ctx.Deadline(); !ok {
		limited, stop := context.WithTimeout(ctx, startTimeout)
		defer stop()
		ctx = limited
	}
	if s.client.alive(ctx) == nil {
		return nil
	}
	begun := time.Now()
	p, err := s.spawn()
	for err == nil {
		if s.client.alive(ctx) == nil {
			return nil
		}
		select {
		case ended := <-p.ended:
			if p.code() == usageCode || time.Since(begun) > patience {
				return fmt.Errorf("%w: %s ended: %w%s", ErrNoServer, s.program, ended, p.said())
			}
			time.Sleep(probeInterval)
			if s.client.alive(ctx) != nil {
				p, err = s.spawn()
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: %s does not answer: %w%s", ErrNoServer, s.program, ctx.Err(),
				p.said())
		case <-time.After(probeInterval):
		}
	}
	return fmt.Errorf("%w: %w", ErrNoServer, err)
}

// process is a server that was started.
type process struct {
	cmd   *exec.Cmd
	ended chan error
	logs  string
	from  int64 // where its output begins in the log
}

// spawn starts the program. It belongs to no terminal, so Ctrl-C there does not reach it.
func (s *starter) spawn() (*process, error) {
	log, err := os.OpenFile(s.logs, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	info, err := log.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > 1<<20 {
		if err := log.Truncate(0); err != nil {
			return nil, err
		}
		info, _ = log.Stat() // it worked before
	}
	args := append([]string{"serve", "--idle-exit", s.idleExit.String(), "--listen",
		"unix://" + filepath.ToSlash(s.socket)}, s.flags...)
	cmd := exec.Command(s.program, args...) //nolint:noctx // it outlives the request
	cmd.Env = serverEnv()
	cmd.Dir = s.folder
	cmd.Stdout, cmd.Stderr = log, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan error, 1), logs: s.logs, from: info.Size()}
	go func() {
		err := cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		p.ended <- err
	}()
	return p, nil
}

// code returns the exit code of a process that has ended.
func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// said returns the last lines that the process printed, for an error text: the error and the
// advice.
func (p *process) said() string {
	text, err := os.ReadFile(p.logs)
	if err != nil || int64(len(text)) <= p.from {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text[p.from:])), "\n")
	return ": " + strings.Join(lines[max(0, len(lines)-3):], "; ")
}

// serverEnv is the environment of the server. It needs no token on a socket in a folder of its
// user.
func serverEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PINION_SERVE_TOKEN=") {
			env = append(env, v)
		}
	}
	return env
}
