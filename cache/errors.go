package cache

import "errors"

// The kinds of this package's errors, for errors.Is.
var (
	// ErrInsecure: another user may be able to write to the cache folder. It is
	// a symbolic link, belongs to another user, or is writable by group or
	// others.
	ErrInsecure = errors.New("cache folder is not safe to use")
	// ErrLockTimeout: another process held the lock for the whole time of the
	// wait.
	ErrLockTimeout = errors.New("timed out waiting for another build of the same recipe")
	// ErrInvalidRecord: a record, key or line cannot be stored, since a field
	// is missing or is not usable as part of a file name.
	ErrInvalidRecord = errors.New("invalid cache record")
)

var errNoFolder = errors.New(
	"MOLECULE_LOCAL_BUILD_CACHE names no folder, and there is no home folder")

// Error is the one error type of this package. Err is one of the sentinels
// above or an error of the operating system (fs.ErrPermission, syscall.ENOSPC
// and so on), to be found with errors.Is.
type Error struct {
	Op   string // "open", "put", "read", "forget" or "lock"
	Path string // the folder or file concerned
	Err  error
}

// Error implements error.
func (e *Error) Error() string {
	return "cache: " + e.Op + " " + e.Path + ": " + e.Err.Error()
}

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }
