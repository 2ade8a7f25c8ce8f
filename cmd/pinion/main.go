// Command pinion turns a template's name into an image in the local image store, pinned to a Git commit.
package main

import (
	"context"
	"io"
	"os"

	"github.com/sirupsen/logrus"

	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli"
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3". Else the build info says it.
var version string

func main() {
	// BuildKit's client and containerd's content store warn there of what they then do without; the errors come back.
	logrus.SetOutput(io.Discard)
	ctx, stop := interruptible(context.Background())
	code := cli.Run(ctx, cli.Program{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Lookup: os.LookupEnv, Version: version,
	}, os.Args[1:])
	stop()
	os.Exit(code)
}
