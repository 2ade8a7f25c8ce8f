package layout

import "os"

// SetSync replaces what writes files to the disk.
func (l *Layout) SetSync(sync func(*os.File) error) { l.sync = sync }
