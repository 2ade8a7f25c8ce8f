package parts

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
)

// bridgePrefix starts the names of our bridges. A link's name has at most 15 characters.
const bridgePrefix = "pin"

// bridge is a network bridge for one Docker engine. Without one of its own, an engine takes (and on
// some settings deletes) docker0, which belongs to the machine's real engine.
type bridge struct{ name string }

// newBridge makes a bridge with an address from the range that RFC 2544 reserves for benchmarks,
// which real networks do not use. It first removes bridges that killed processes left behind.
func newBridge(ctx context.Context) (*bridge, error) {
	if err := removeOrphanedBridges(ctx); err != nil {
		return nil, err
	}
	b := &bridge{unique(bridgePrefix)}
	subnet, err := freeSubnet()
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"link", "add", "name", b.name, "type", "bridge"},
		{"addr", "add", subnet, "dev", b.name},
		{"link", "set", b.name, "up"},
	} {
		if err := ip(ctx, args...); err != nil {
			_ = b.remove(ctx)
			return nil, err
		}
	}
	return b, nil
}

func removeOrphanedBridges(ctx context.Context) error {
	links, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("look for bridges of killed processes: %w", err)
	}
	for _, link := range links {
		if orphaned(link.Name, bridgePrefix) {
			_ = (&bridge{link.Name}).remove(ctx) // two processes may try; one of them wins
		}
	}
	return nil
}

func (b *bridge) remove(ctx context.Context) error { return ip(ctx, "link", "delete", b.name) }

// freeSubnet returns an address with its prefix length, from a /24 in which no link of this machine
// is.
func freeSubnet() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("find a free subnet: %w", err)
	}
	for n := range 512 {
		candidate := net.IPNet{IP: net.IPv4(198, byte(18+n/256), byte(n%256), 1),
			Mask: net.CIDRMask(24, 32)}
		if !taken(candidate, addrs) {
			return candidate.String(), nil
		}
	}
	return "", fmt.Errorf("find a free subnet: all of 198.18.0.0/15 is taken")
}

func taken(candidate net.IPNet, addrs []net.Addr) bool {
	for _, a := range addrs {
		if have, ok := a.(*net.IPNet); ok &&
			(candidate.Contains(have.IP) || have.Contains(candidate.IP)) {
			return true
		}
	}
	return false
}

func ip(ctx context.Context, args ...string) error {
	path, err := locateSystem("ip")
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, bytes.TrimSpace(out))
	}
	return nil
}
