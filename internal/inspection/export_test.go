package inspection

// Remembered returns the number of images that are remembered.
func (d *Desk) Remembered() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.known)
}
