package flags

import (
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
