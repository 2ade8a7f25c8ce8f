//go:build unix

package buildkit

import "syscall"

// nonBlocking keeps the opening of a pipe from waiting for who writes into it.
const nonBlocking = syscall.O_NONBLOCK
