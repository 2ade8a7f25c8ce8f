package server

import (
	"os"
	"strconv"
	"strings"
)

// clockTicks is the unit of the times in /proc, per second. It is a constant of the kernel's
// interface on all of Go's platforms.
const clockTicks = 100

// writeProcess writes what proc_pid_stat(5) reports about the process.
func writeProcess(e exposition) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return
	}
	// The second field, in parentheses, may have blanks. The slice begins with field 3.
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if len(fields) < 22 {
		return
	}
	number := func(field int) float64 {
		n, _ := strconv.ParseFloat(fields[field-3], 64)
		return n
	}
	e.one("process_cpu_seconds_total", "counter", "Processor time of the server.",
		(number(14)+number(15))/clockTicks)
	e.one("process_resident_memory_bytes", "gauge", "Memory of the server.",
		number(24)*float64(os.Getpagesize()))
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		e.one("process_open_fds", "gauge", "Open files of the server.", float64(len(files)))
	}
}
