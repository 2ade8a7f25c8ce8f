package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

const (
	// Inherit is the address that stands for the sockets of the service manager.
	Inherit = "fd://"
	// firstFD is the first descriptor that a service manager passes (sd_listen_fds(3)).
	firstFD = 3
	// maxInherited bounds the number of sockets.
	maxInherited = 64
)

// Inherited returns a listener for each socket that the service manager passed to this process, by
// sd_listen_fds(3). pid and count are the values of LISTEN_PID and LISTEN_FDS. The listeners leave
// the files of unix sockets to the manager. It is an error if there is none, or if one is not a
// listening stream socket.
func Inherited(pid, count string) (all []net.Listener, err error) {
	return inherited(pid, count, firstFD)
}

func inherited(pid, count string, first int) (all []net.Listener, err error) {
	n, _ := strconv.Atoi(count)
	if pid != strconv.Itoa(os.Getpid()) || n < 1 || n > maxInherited {
		return nil, errors.New("the service manager passed no socket; start the program by a " +
			"socket unit, or name an address")
	}
	for fd := first; fd < first+n; fd++ {
		file := os.NewFile(uintptr(fd), fmt.Sprintf("socket %d", fd))
		if file == nil {
			err = errors.Join(err, fmt.Errorf("descriptor %d is not open", fd))
			continue
		}
		l, failed := net.FileListener(file)
		err = errors.Join(err, failed, file.Close()) // the listener has a copy
		if failed == nil {
			all = append(all, l)
		}
	}
	if err == nil {
		return all, nil
	}
	for _, l := range all {
		_ = l.Close()
	}
	return nil, fmt.Errorf("the sockets of the service manager: %w", err)
}
