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
)

// Ready is what a daemon writes on file descriptor 3 when it serves. Anything else is why it does
// not.
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
	cmd := exec.Command(program[0], append(program[1:len(program):len(program)], s.Args()...)...)
	cmd.Dir, cmd.Env = "/", m.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, // neither the terminal's signals nor its end reach it
		// With the first process of the namespaces the kernel ends all others and drops their
		// mounts.
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
	go func() { _ = cmd.Wait() }() // in a program that lives on it would stay as a zombie
	// The reading ends with the daemon, which holds the only other end.
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	line, err := bufio.NewReader(r).ReadString('\n')
	switch said := strings.TrimSpace(line); {
	case said == Ready:
		return nil
	case said != "":
		return fmt.Errorf("%w: %s", ErrStart, said)
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	return fmt.Errorf("%w and did not say why; `pinion builder logs` shows %s", ErrStart,
		m.file(fileLog))
}

// environment is what the daemon gets of ours. It lives on when we are gone, so no credential is
// among it.
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
