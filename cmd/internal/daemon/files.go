package daemon

import "path/filepath"

// LogFile returns the path of the log.
func (s Settings) LogFile() string { return filepath.Join(s.Root, fileLog) }

// OldLog returns the path to which a log is rotated.
func OldLog(log string) string { return log + ".1" }

// LockFile returns the path of the file that is locked as long as a daemon works on the root.
func (s Settings) LockFile() string { return filepath.Join(s.Root, fileDaemonLock) }

// AddressFile returns the path of the file that contains the socket's path.
func (s Settings) AddressFile() string { return filepath.Join(s.Root, fileAddress) }

// OwnSocket returns the path of the socket that is used if the folder of Socket has been removed.
func (s Settings) OwnSocket() string { return filepath.Join(s.Root, fileSocket) }

// StateDir returns the folder of BuildKit's state.
func (s Settings) StateDir() string { return filepath.Join(s.Root, "buildkit") }

// TempDir returns the folder of temporary files. Each start removes its content.
func (s Settings) TempDir() string { return filepath.Join(s.Root, "tmp") }
