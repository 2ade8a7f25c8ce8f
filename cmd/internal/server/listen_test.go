package server

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// socketDir is short: a socket's path has at most 107 bytes.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pinion-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestListenAtASocket(t *testing.T) {
	path := filepath.Join(socketDir(t), "made", "p.sock")
	l, err := Listen("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]fs.FileMode{path: 0o660 | fs.ModeSocket,
		filepath.Dir(path): 0o700 | fs.ModeDir} {
		if info, err := os.Lstat(at); err != nil || info.Mode() != want {
			t.Errorf("%s has the mode %v, %v", at, info.Mode(), err)
		}
	}
	if _, err := Listen("unix://" + path); err == nil ||
		!strings.Contains(err.Error(), "another server") {
		t.Errorf("a second one: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is left")
	}
	again, err := Listen("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestASocketThatIsLeft(t *testing.T) {
	path := filepath.Join(socketDir(t), "p.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix://" + path); err == nil ||
		!strings.Contains(err.Error(), "another program") {
		t.Errorf("a live one: %v", err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	l, err := Listen("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	_ = l.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix://" + path); err == nil ||
		!strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file: %v", err)
	}
}

// TestOnlyOneOfManyStarters: one of many servers that start together gets the socket.
func TestOnlyOneOfManyStarters(t *testing.T) {
	path := filepath.Join(socketDir(t), "p.sock")
	var all sync.WaitGroup
	var won atomic.Int32
	for range 20 {
		all.Go(func() {
			if _, err := Listen("unix://" + path); err == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d servers listen", n)
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "unix://", "unix://relative", "tcp://", "127.0.0.1:80",
		"http://x", "/path", "tcp://no-port"} {
		if _, err := Listen(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	l, err := Listen("tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}
