package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// residentAtMost is what the server had in memory, in bytes, by proc_pid_status(5); 0 if the system
// does not tell.
func (s *serving) residentAtMost() int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}

// idle waits until the server has nothing to do, since it has accepted every request.
func (s *serving) idle(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for before := ""; ; {
		used, err := s.used()
		if err != nil || used == before {
			return err
		}
		before = used
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// used is the processor's time that the server has had, by proc_pid_stat(5): the 14th and the 15th
// field, the 2nd being a name in brackets.
func (s *serving) used() (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return "", fmt.Errorf("/proc/%d/stat is %q", s.cmd.Process.Pid, stat)
	}
	return strings.Join(fields[11:13], " "), nil
}
