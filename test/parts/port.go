package parts

import (
	"fmt"
	"net"
)

// FreePort asks the kernel for a free port on 127.0.0.1. Another process may take it before we do:
// the kernel hands ports out in a wide circle, so that needs thousands of them in between.
func FreePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
