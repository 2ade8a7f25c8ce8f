package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// Defaults of [Settings].
const (
	DefaultIdle        = 15 * time.Minute
	DefaultKeepStorage = 20_000_000_000
	// DefaultConfig is BuildKit's own file. Only its registries are used.
	DefaultConfig = "/etc/buildkit/buildkitd.toml"
)

// Settings are the parameters of a daemon. They do not change while it runs.
type Settings struct {
	// Root is the folder of all of the daemon's state.
	Root string
	// Socket is the path at which it listens.
	Socket string
	// Idle is the time without requests after which it exits. 0 means never.
	Idle time.Duration
	// KeepStorage is the size in bytes to which garbage collection trims the build cache.
	KeepStorage int64
	// Config is a buildkitd.toml, used for its registries. It need not exist.
	Config string
	// Version of the pinion that starts it. A program of another version refuses to start.
	Version string
	// Stage selects one of the daemon's two processes.
	Stage string
}

// Stages of the daemon, which package serve implements.
const (
	// StageInit is the first process of the daemon's namespaces, which supervises the second.
	StageInit = "init"
	// StageServe is the process that runs BuildKit.
	StageServe = "serve"
)

// Args encodes the settings as arguments. The stage comes first.
func (s Settings) Args() []string {
	return []string{
		"--stage=" + s.Stage, "--root=" + s.Root, "--socket=" + s.Socket,
		"--idle=" + s.Idle.String(),
		fmt.Sprintf("--keep-storage=%d", s.KeepStorage), "--config=" + s.Config,
		"--client-version=" + s.Version,
	}
}

// ParseArgs decodes the arguments of [Settings.Args].
func ParseArgs(args []string) (Settings, error) {
	var s Settings
	fs := flag.NewFlagSet("pinion-buildkitd", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&s.Stage, "stage", "", "")
	fs.StringVar(&s.Root, "root", "", "")
	fs.StringVar(&s.Socket, "socket", "", "")
	fs.DurationVar(&s.Idle, "idle", DefaultIdle, "")
	fs.Int64Var(&s.KeepStorage, "keep-storage", DefaultKeepStorage, "")
	fs.StringVar(&s.Config, "config", DefaultConfig, "")
	fs.StringVar(&s.Version, "client-version", "", "")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if s.Root == "" || s.Socket == "" || s.Stage == "" || fs.NArg() > 0 {
		return s, errors.New("pinion starts pinion-buildkitd (`pinion ensure --builder " +
			"managed`); it is not started by hand")
	}
	return s, nil
}

// Files below the root.
const (
	fileStartLock  = "start.lock"
	fileDaemonLock = "daemon.lock"
	fileAddress    = "address"
	fileLog        = "buildkitd.log"
	fileSocket     = "buildkitd.sock"
)
