package daemon

import "path/filepath"

// Where the daemon's parts lie below its root.

// LogFile is the log, and OldLog what was rotated away of it.
func (s Settings) LogFile() string { return filepath.Join(s.Root, fileLog) }

// OldLog is the name of a log that was rotated away.
func OldLog(log string) string { return log + ".1" }

// LockFile is locked as long as a daemon works on the root.
func (s Settings) LockFile() string { return filepath.Join(s.Root, fileDaemonLock) }

// AddressFile holds the path of the socket.
func (s Settings) AddressFile() string { return filepath.Join(s.Root, fileAddress) }

// OwnSocket is where it listens when the place that was chosen for it is gone.
func (s Settings) OwnSocket() string { return filepath.Join(s.Root, fileSocket) }

// StateDir is BuildKit's, and TempDir for what it makes while it works.
func (s Settings) StateDir() string { return filepath.Join(s.Root, "buildkit") }

// TempDir holds what is of no use to another start.
func (s Settings) TempDir() string { return filepath.Join(s.Root, "tmp") }
