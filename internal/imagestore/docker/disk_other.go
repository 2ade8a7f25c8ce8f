//go:build !linux && !darwin && !freebsd

package docker

import (
	"errors"
)

func FreeBytes(string) (uint64, error) {
	return 0, errors.New("free space is not known on this system")
}
