package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// serving is a `pinion serve` on a socket.
type serving struct {
	cmd    *exec.Cmd
	log    *os.File
	client *http.Client
}

// serve starts the server for a repository prefix. The caller must stop it.
func (a *arena) serve(ctx context.Context, prefix string) (*serving, error) {
	socket := filepath.Join(a.dir, "p.sock")
	log, err := os.OpenFile(filepath.Join(a.dir, "serve.log"),
		os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	s := &serving{log: log, client: &http.Client{Transport: overSocket(socket)}}
	s.cmd = exec.Command(a.programs.pinion, "serve", "--listen", "unix://"+socket)
	s.cmd.Env = append(a.env(), "MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX="+prefix)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// overSocket keeps any number of connections for the next request: a caller here stands for a
// process that keeps its own.
func overSocket(path string) *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: manyIdle,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}}
}

const manyIdle = 2048

func (s *serving) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := s.do(ctx, http.MethodGet, "/readyz", "")
		if err == nil {
			return resp.Body.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("`pinion serve` does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// do makes a request. An answer that is no success is an error.
func (s *serving) do(ctx context.Context, method, path, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://pinion"+path,
		strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		text, _ := io.ReadAll(resp.Body)
		return nil, errors.Join(fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text),
			resp.Body.Close())
	}
	return resp, nil
}

// ask makes a request and reads its answer, one JSON value.
func (s *serving) ask(ctx context.Context, method, path string, into any) error {
	resp, err := s.do(ctx, method, path, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body) // to its end, or the connection is not used again
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// stop ends the server in good order, or after a while by force.
func (s *serving) stop() error {
	s.client.CloseIdleConnections()
	forced := time.AfterFunc(startTimeout, func() { _ = s.cmd.Process.Kill() })
	defer forced.Stop()
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	return errors.Join(err, s.cmd.Wait(), s.log.Close())
}
