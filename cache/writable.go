package cache

// Writable tries whether a record could be written, and leaves nothing behind.
func (d *Dir) Writable() error {
	const probe = ".writable"
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
