package flags

import (
	"strconv"
	"strings"

	units "github.com/docker/go-units"
)

// ParseSize returns the number of bytes that s stands for. GB means ten to the ninth, as in
// Pinion's own output, and GiB two to the thirtieth.
func ParseSize(s string) (int64, error) {
	if strings.Contains(strings.ToLower(s), "ib") {
		return units.RAMInBytes(s)
	}
	return units.FromHumanSize(s)
}

// ParsePercent returns the part that s stands for, 0.8 for 80%. ok is false for what is not from 1%
// to 100%.
func ParsePercent(s string) (part float64, ok bool) {
	number, isPercent := strings.CutSuffix(strings.TrimSpace(s), "%")
	n, err := strconv.ParseFloat(number, 64)
	return n / 100, isPercent && err == nil && n >= 1 && n <= 100
}
