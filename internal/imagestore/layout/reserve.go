package layout

import (
	"crypto/rand"
	"errors"
	"io"
	"syscall"
)

// reserve is a file that takes space on the disk for the removal of names, which must also work if
// the disk is full: it is removed, and then there is space for the new index.
const reserve = privateDir + "/reserve"

// reserveFor returns the size of the reserve for an index of that size, both in bytes: an index is
// there twice while it is being replaced, and the list of loose blobs takes space too.
func reserveFor(index int) int64 { return int64(index) + 32<<10 }

// keepReserve makes a reserve if there is none, or a larger one if it is too small. Without one the
// layout still works, so this is best effort. The caller holds indexLock.
func (l *Layout) keepReserve(index int) {
	if info, err := l.root.Lstat(reserve); err == nil && info.Size() >= reserveFor(index) {
		return
	}
	// Twice of it, so that it is not written for each new name. Some disks take no space for zeros.
	err := l.writeFile(reserve, func(w io.Writer) error {
		_, err := io.CopyN(w, rand.Reader, 2*reserveFor(index))
		return err
	})
	_ = err // writeFile leaves no partial file
}

// useReserve removes the reserve if an error says that the disk is full, and reports whether it
// did.
func (l *Layout) useReserve(err error) bool {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	return full && l.root.Remove(reserve) == nil
}
