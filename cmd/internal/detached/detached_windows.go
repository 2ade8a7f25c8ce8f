package detached

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// attributes gives the process no console, and a group of its own.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{HideWindow: true,
		CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}
