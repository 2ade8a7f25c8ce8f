package cache

import (
	"fmt"
	"os"
)

// Writable returns nil if a record can be written. It writes a temporary file
// and removes it.
func (d *Dir) Writable() error {
	probe := fmt.Sprintf("%swritable-%d", tempPrefix, os.Getpid())
	f, err := d.createTemp(probe)
	if err != nil {
		return d.fail("write", probe, err)
	}
	if err := f.Close(); err != nil {
		return d.fail("write", probe, err)
	}
	if err := d.root.Remove(probe); err != nil {
		return d.fail("write", probe, err)
	}
	return nil
}
