package stats

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine describes the machine that the times depend on.
type Machine struct {
	CPUs   int    `json:"cpus"`
	Model  string `json:"cpu,omitempty"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel,omitempty"`
	Load   string `json:"load,omitempty"` // averages of 1, 5 and 15 minutes before the first run
	Go     string `json:"go"`
}

// thisMachine reads the files of proc(5). A field that they do not give stays empty.
func thisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Arch: runtime.GOARCH, Go: runtime.Version()}
	m.Kernel = firstLine("/proc/sys/kernel/osrelease")
	if fields := strings.Fields(firstLine("/proc/loadavg")); len(fields) >= 3 {
		m.Load = strings.Join(fields[:3], " ")
	}
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			m.Model = strings.TrimSpace(value)
			break
		}
	}
	return m
}

func firstLine(file string) string {
	body, _ := os.ReadFile(file)
	line, _, _ := strings.Cut(string(body), "\n")
	return line
}

// String describes the machine in one line.
func (m Machine) String() string {
	return fmt.Sprintf("Machine: %d CPUs (%s, %s), Linux %s, %s; load before the first run: %s",
		m.CPUs, orUnknown(m.Model), m.Arch, orUnknown(m.Kernel), m.Go, orUnknown(m.Load))
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
