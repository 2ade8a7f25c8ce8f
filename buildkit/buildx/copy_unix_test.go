//go:build unix

package buildx

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A folder of another user stays, and a pipe in the place of a folder does not block.
func TestCopiesOfOthers(t *testing.T) {
	f, b, tmp := someBuilder(t)
	theirs, pipe := filepath.Join(tmp, copyPrefix+"theirs"), filepath.Join(tmp, copyPrefix+"pipe")
	if err := errors.Join(os.Mkdir(theirs, 0o777), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	others := os.Chown(theirs, os.Geteuid()+1, -1) == nil // root alone may give it away
	makeCopy(t, f, b)
	if isThere(theirs) != others || !isThere(pipe) {
		t.Errorf("another's folder is there: %t, the pipe: %t", isThere(theirs), isThere(pipe))
	}
}
