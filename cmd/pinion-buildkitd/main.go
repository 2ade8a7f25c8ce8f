//go:build linux

// Command pinion-buildkitd is the managed BuildKit. Pinion starts it; it is of no use by hand.
package main

import (
	"os"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/buildversion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon/serve"
)

// version is set by the release build, to the same as pinion's.
var version string

func main() {
	os.Exit(serve.Main(os.Args[1:], buildversion.Of(version)))
}
