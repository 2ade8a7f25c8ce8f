package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Ready is the line that a daemon writes to file descriptor 3 once it serves. Any other line is the
// reason for its failure.
const Ready = "ready"

// spawn starts a daemon and waits until it serves.
func (m *Manager) spawn(ctx context.Context) (string, error) {
	s := Settings{Root: m.root, Idle: m.idle, KeepStorage: m.keep, Config: m.config,
		Version: m.version, Stage: StageInit}
	var err error
	if s.Socket, err = m.socketPath(); err != nil {
		return "", err
	}
	program, err := m.command()
	if err != nil {
		return "", err
	}
	args := append(program[1:len(program):len(program)], s.Args()...)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program[0], args...) // outlives ctx
	cmd.Dir, cmd.Env = "/", m.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, // detach it from the terminal's signals and hang-up
		// When the first process of the namespaces ends, the kernel ends all others and removes
		// their mounts.
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
	}
	if err := m.run(ctx, cmd); err != nil {
		return "", err
	}
	return "unix://" + s.Socket, nil
}

func (m *Manager) run(ctx context.Context, cmd *exec.Cmd) error {
	log, err := os.OpenFile(m.file(fileLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrStart, cmd.Path, err)
	}
	exited := make(chan struct{})
	go func() { // also avoids a zombie in a long-lived program
		defer close(exited)
		_ = cmd.Wait()
	}()
	kill := func() { _ = cmd.Process.Kill() }
	stop := context.AfterFunc(ctx, kill)
	defer stop()
	if err := m.served(r); err != nil {
		// What did not start leaves no process behind.
		defer time.AfterFunc(exitTimeout, kill).Stop()
		<-exited
		return err
	}
	return nil
}

// served waits for a daemon's line on the pipe and returns nil if it serves. The read ends with the
// daemon, which holds the only other end.
func (m *Manager) served(pipe io.Reader) error {
	line, err := bufio.NewReader(pipe).ReadString('\n')
	switch text := strings.TrimSpace(line); {
	case text == Ready:
		return nil
	case text != "":
		return fmt.Errorf("%w: %s", ErrStart, text)
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	return fmt.Errorf("%w and gave no reason; `pinion builder logs` shows %s", ErrStart,
		m.file(fileLog))
}

// environment returns the daemon's environment. It contains no credential, since the daemon
// outlives the command.
func (m *Manager) environment() (env []string) {
	for _, name := range []string{
		"PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy",
		"no_proxy", "all_proxy",
	} {
		if v, ok := m.lookup(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
