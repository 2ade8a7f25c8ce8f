package cache

import "errors"

var (
	// ErrInsecure says that the cache folder can be written by somebody else:
	// it is a symbolic link, belongs to another user, or is writable by group
	// or others.
	ErrInsecure = errors.New("cache folder is not safe to use")
	// ErrLockTimeout says that another process held the lock for the whole
	// time that the caller was ready to wait.
	ErrLockTimeout = errors.New("timed out waiting for another build of the same recipe")
	// ErrInvalidRecord says that a record, key or line cannot be filed: a
	// field is missing or is not usable as part of a file name.
	ErrInvalidRecord = errors.New("invalid cache record")
)

var errNoFolder = errors.New("no folder is named and there is no home folder: set " +
	"MOLECULE_LOCAL_BUILD_CACHE")

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
