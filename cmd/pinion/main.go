// Command pinion turns a template's name into an image in the local image store, pinned to a Git
// commit.
package main

import (
	"context"
	"io"
	"os"

	"github.com/docker/cli/cli-plugins/socket"
	"github.com/sirupsen/logrus"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/detached"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli"
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3". If it is empty, the build
// info has the version.
var version string

func main() {
	// BuildKit's client and containerd's content store log warnings there about optional steps that
	// failed. They return their errors as well.
	logrus.SetOutput(io.Discard)
	ctx, stop := interruptible(context.Background())
	plugin := cli.IsPlugin(os.Args[0])
	if plugin {
		// A signal that only Docker's CLI receives reaches the plugin through this socket.
		socket.ConnectAndWait(stop)
	}
	code := cli.Run(ctx, cli.Program{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Lookup: os.LookupEnv, Plugin: plugin,
		Version: version, Detach: detacher(),
	}, os.Args[1:])
	stop()
	os.Exit(code)
}

// detacher returns what starts this program again, as a process that outlives this one. It is nil
// for the first process of a container, which takes all others with it.
func detacher() func(args, env []string) error {
	if os.Getpid() == 1 {
		return nil
	}
	return func(args, env []string) error {
		program, err := os.Executable()
		if err != nil {
			return err
		}
		return detached.Start(program, args, append(os.Environ(), env...))
	}
}
