//go:build !unix

package client

import (
	"fmt"
	"os"
	"os/exec"
)

func detach(*exec.Cmd) {}

// checkFolder relies on the system: folders for temporary files belong to one user.
func checkFolder(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", path)
	}
	return err
}
