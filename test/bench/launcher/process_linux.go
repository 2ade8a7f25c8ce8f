package main

import (
	"os"
	"syscall"
)

// residentAtMost is what the biggest of the program's processes that were waited for had in memory,
// in bytes (the kernel counts KiB, getrusage(2)).
func residentAtMost(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return int64(usage.Maxrss) << 10 //nolint:unconvert // 32 bits on some machines
}

// dyingWithParent ends the program if this process is killed.
func dyingWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

func exitCode(p *os.ProcessState) int {
	if status, ok := p.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.ExitCode()
}
