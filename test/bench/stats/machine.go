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
	Memory int64  `json:"memory"` // bytes; 0 if it is not known
	Kernel string `json:"kernel,omitempty"`
	// Busy is the share of the processors' time that was used in some seconds before the first run.
	Busy float64 `json:"busy"`
}

// thisMachine reads the files of proc(5). A field that they do not give stays empty.
func thisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Arch: runtime.GOARCH}
	m.Kernel = firstLine("/proc/sys/kernel/osrelease")
	_, _ = fmt.Sscanf(firstLine("/proc/meminfo"), "MemTotal: %d kB", &m.Memory)
	m.Memory <<= 10
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

// Name describes the machine by what does not change unless it is another one.
func (m Machine) Name() string {
	return fmt.Sprintf("%d cores of %s (%s), %.0f GB", m.CPUs, orUnknown(m.Model), m.Arch,
		float64(m.Memory)/1e9)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
