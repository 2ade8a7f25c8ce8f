package main

import (
	"os"
	"syscall"
)

// residentAtMost is what the biggest of a command's processes had in memory, in bytes (the kernel
// counts KiB, getrusage(2)). It is never less than what this program had when it started the
// command: before exec(2) that was the process's own.
func residentAtMost(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return int64(usage.Maxrss) << 10 //nolint:unconvert // 32 bits on some machines
}
