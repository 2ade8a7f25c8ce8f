//go:build linux

// Command pinion-buildkitd is the managed BuildKit. Only pinion starts it.
package main

import (
	"os"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/buildversion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon/serve"
)

// version is set by the release build to that of pinion.
var version string

func main() {
	os.Exit(serve.Main(os.Args[1:], buildversion.Of(version)))
}
