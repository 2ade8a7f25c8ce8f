package parts

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Flavour is a line of the Docker engine with one of its image stores.
type Flavour string

const (
	// Docker29Containerd is the engine of the 29 line with its default, the containerd image store.
	Docker29Containerd Flavour = "docker29-containerd"
	// Docker29Classic is the engine of the 29 line with the classic (overlay2 graph driver) store.
	Docker29Classic Flavour = "docker29-classic"
	// Docker20 is the engine 20.10 as Debian's docker.io brings it: classic store, BuildKit of the
	// 0.8 line.
	Docker20 Flavour = "docker20"
)

// Flavours are all of them.
func Flavours() []Flavour { return []Flavour{Docker29Containerd, Docker29Classic, Docker20} }

// Available says whether this machine can run the flavour; the error wraps ErrMissing or
// ErrNeedsRoot.
func (f Flavour) Available(ctx context.Context) error {
	_, err := f.locate(ctx)
	return err
}

// locate finds the flavour's dockerd. Both lines are called dockerd, so 20.10 is known by its
// version.
func (f Flavour) locate(ctx context.Context) (string, error) {
	if err := requireRoot(string(f)); err != nil {
		return "", err
	}
	for _, other := range []string{"containerd", "runc", "ip"} {
		if _, err := locateSystem(other); err != nil {
			return "", fmt.Errorf("%s: %w", f, err)
		}
	}
	if f != Docker20 {
		return locateTool("dockerd")
	}
	path, err := locateSystem("dockerd")
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil || !strings.Contains(string(out), "version 20.10.") {
		return "",
			fmt.Errorf("%w: dockerd 20.10 (%s is another version): install Debian 12's package "+
				"docker.io", ErrMissing, path)
	}
	return path, nil
}
