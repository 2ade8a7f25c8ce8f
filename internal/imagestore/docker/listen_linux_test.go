package docker_test

import (
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// TestReceiveLoadsWhereNothingCanListen: a sandbox, or a host without a free port, is no fault of
// the engine.
func TestReceiveLoadsWhereNothingCanListen(t *testing.T) {
	r, _ := newFakeReceiver(t, imagestore.KindContainerd, "1.52")
	withoutPorts(t)
	got := r.receive(t, ref, storetest.NewLayered(t, "base", "top"))
	if got.Via != buildkit.ViaLoad || got.LayersSent != 2 ||
		!strings.Contains(got.Reason, "cannot serve the image") {
		t.Errorf("%+v", got)
	}
}

// withoutPorts puts the test into a network of its own in which no port is free.
func withoutPorts(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network of its own needs root")
	}
	runtime.LockOSThread() // the thread ends with the test, and its network with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("this root may not make a network: %v", err)
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("50000 50000"),
		0o644); err != nil {
		t.Skip(err)
	}
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	if free, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0"); err == nil {
		_ = free.Close()
		t.Skip("there are more ports")
	}
}
