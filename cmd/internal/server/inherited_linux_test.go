package server

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInherited(t *testing.T) {
	me := fmt.Sprint(os.Getpid())
	for _, c := range [][2]string{{"", ""}, {me, ""}, {me, "0"}, {me, "x"}, {me, "100000"},
		{"1", "1"}} {
		if all, err := Inherited(c[0], c[1]); err == nil ||
			!strings.Contains(err.Error(), "passed no") {
			t.Errorf("%q: %v, %v", c, all, err)
		}
	}
	path := socketDir(t) + "/p.sock"
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	// A high number, so that nothing else of the test has it or the next.
	const first = 700
	pass := func() {
		if err := unix.Dup2(int(file.Fd()), first); err != nil {
			t.Fatal(err)
		}
	}
	pass()
	all, err := inherited(me, "1", first)
	if err != nil || len(all) != 1 || all[0].Addr().String() != path {
		t.Fatalf("%v, %v", all, err)
	}
	if err := all[0].Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket is the manager's: %v", err)
	}
	pass()
	if all, err := inherited(me, "2", first); err == nil { // the second is not open
		t.Errorf("%v", all)
	}
}
