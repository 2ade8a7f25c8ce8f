//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// passing returns the command as systemd starts it with sockets. The shell is there since only the
// process itself knows its number.
func passing(t *testing.T, sockets []*os.File, env, args []string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	inner := play(t, "pinion", append([]string{"serve", "--listen", "fd://"}, args...)...)
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c",
		`LISTEN_PID=$$ exec "$0" "$@"`}, inner.Args...)...)
	cmd.Env, cmd.ExtraFiles = append(inner.Env, env...), sockets
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &log, &log, time.Second
	return cmd, &log
}

// TestServesTheSocketsOfTheServiceManager also connects before the server is there.
func TestServesTheSocketsOfTheServiceManager(t *testing.T) {
	dir, err := os.MkdirTemp("", "pinion-") // a socket's path has at most 103 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := dir + "/p.sock"
	unix, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	unix.SetUnlinkOnClose(false)
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var sockets []*os.File
	for _, l := range []interface{ File() (*os.File, error) }{unix, tcp} {
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, f)
	}
	port := tcp.Addr().String()
	_, _ = unix.Close(), tcp.Close() // the manager keeps its files, and accepts nothing

	// A TCP socket needs a token, from wherever it comes.
	cmd, log := passing(t, sockets, []string{"LISTEN_FDS=2"}, nil)
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 64 ||
		!strings.Contains(log.String(), "TCP needs a token") {
		t.Errorf("without a token: %v\n%s", err, log)
	}
	// Without sockets there is nothing to serve.
	cmd, log = passing(t, nil, nil, nil)
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 64 ||
		!strings.Contains(log.String(), "passed no socket") {
		t.Errorf("without sockets: %v\n%s", err, log)
	}

	token := strings.Repeat("t", 20)
	cmd, log = passing(t, sockets, []string{"LISTEN_FDS=2", "PINION_SERVE_TOKEN=" + token},
		[]string{"--idle-exit", "2s"})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for name, dial := range map[string]func(ctx context.Context, _, _ string) (net.Conn, error){
		"unix": func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		"tcp": func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", port)
		},
	} {
		client := http.Client{Transport: &http.Transport{DialContext: dial},
			Timeout: 20 * time.Second}
		resp, err := client.Get("http://pinion/healthz") // it waits until the server accepts
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		client.CloseIdleConnections()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket is the service manager's: %v", err)
	}
}
