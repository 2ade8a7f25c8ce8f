//go:build !linux && !darwin && !freebsd

package diskspace

import "errors"

// Of returns an error: file systems are not measured on this system.
func Of(string) (Space, error) {
	return Space{}, errors.New("free space is not known on this system")
}
