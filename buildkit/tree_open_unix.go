//go:build unix

package buildkit

import "syscall"

// nonBlocking makes the opening of a pipe return without a writer.
const nonBlocking = syscall.O_NONBLOCK
