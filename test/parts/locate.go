package parts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

var (
	// ErrMissing means that a component's program is not on this machine. `make tools` builds those
	// that come from Go modules.
	ErrMissing = errors.New("missing part")
	// ErrNeedsRoot means that a component can only be run by root on Linux.
	ErrNeedsRoot = errors.New("needs root on Linux")
)

// systemDirs are searched after PATH: Debian keeps daemons where an ordinary user's PATH does not
// reach.
var systemDirs = []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin",
	"/bin"}

// Locate returns the path of a program: from .tools/bin of the source tree around the working
// folder, then from PATH, then from the system's folders. The error wraps ErrMissing and says how
// to get the program.
func Locate(name string) (string, error) {
	if p, err := locateTool(name); err == nil {
		return p, nil
	}
	return locateSystem(name)
}

// locateTool is Locate for the tools alone that we build.
func locateTool(name string) (string, error) {
	root, err := sourceRoot()
	if err != nil {
		return "", err
	}
	p := filepath.Join(root, ".tools", "bin", name)
	if !executable(p) {
		return "", fmt.Errorf("%w: %s: run `make tools`", ErrMissing, name)
	}
	return p, nil
}

// locateSystem is Locate without the tools that we build: for programs that exist in both places in
// different versions.
func locateSystem(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	for _, dir := range systemDirs {
		if p := filepath.Join(dir, name); executable(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("%w: %s: %s", ErrMissing, name, remedy(name))
}

// locateAll returns the path of the first program after making sure that the others are there too.
func locateAll(name string, others ...string) (string, error) {
	for _, other := range others {
		if _, err := locateSystem(other); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
	}
	return Locate(name)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// LocateAxe returns the path of axe-core's script.
func LocateAxe() (string, error) {
	root, err := sourceRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".tools", "axe.min.js")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: %s: run `make browser-tools`, which needs npm", ErrMissing,
			NameAxe)
	}
	return path, nil
}

// remedy says what brings a program onto the machine.
func remedy(name string) string {
	switch name {
	case "buildkitd", "buildx", "gitea", "registry", "registry-passwd":
		return "run `make tools`"
	case NamePromtool:
		return "install the package prometheus"
	case "busybox":
		return "install the package busybox-static"
	case "docker":
		return "install Docker's client (Debian's package docker.io or docker-cli)"
	case "ip":
		return "install the package iproute2"
	default:
		return "install the package that brings it"
	}
}

// sourceRoot is the folder of Pinion's source tree around the working folder: the nearest one above
// that has the tools' modules.
func sourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the source tree: %w", err)
	}
	for {
		if info, err := os.Stat(filepath.Join(dir, "test", "tools")); err == nil && info.IsDir() {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("%w: no source tree of Pinion around the working folder",
				ErrMissing)
		}
		dir = up
	}
}

// requireRoot says whether daemons that mount and make namespaces can run here.
func requireRoot(name string) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return fmt.Errorf("%s: %w", name, ErrNeedsRoot)
	}
	return nil
}
