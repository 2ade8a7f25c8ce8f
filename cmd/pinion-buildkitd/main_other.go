//go:build !linux

// Command pinion-buildkitd is the managed BuildKit. Only pinion starts it.
package main

import (
	"fmt"
	"os"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

func main() {
	fmt.Fprintln(os.Stderr, "pinion-buildkitd:", daemon.ErrUnsupported)
	os.Exit(1)
}
