//go:build !linux

package main

import (
	"os"
	"syscall"
)

// residentAtMost is not known here.
func residentAtMost(*os.ProcessState) int64 { return 0 }

func dyingWithParent() *syscall.SysProcAttr { return nil }

func exitCode(p *os.ProcessState) int { return p.ExitCode() }
