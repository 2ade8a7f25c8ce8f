package daemon

import (
	"flag"
	"fmt"
	"io"
	"time"
)

// Defaults of [Settings].
const (
	DefaultIdle        = 15 * time.Minute
	DefaultKeepStorage = 20_000_000_000
	// DefaultConfig is BuildKit's own file. Its registries are used and nothing else in it.
	DefaultConfig = "/etc/buildkit/buildkitd.toml"
)

// Settings are what a daemon is started with. They hold until it ends.
type Settings struct {
	// Root is the folder with all of the daemon's state.
	Root string
	// Socket is where it listens.
	Socket string
	// Idle is how long it stays when nobody wants anything; 0 is for ever.
	Idle time.Duration
	// KeepStorage is how many bytes of build cache garbage collection leaves.
	KeepStorage int64
	// Config is a buildkitd.toml for its registries; it need not exist.
	Config string
	// Version of the pinion that starts it. A daemon of another version refuses.
	Version string
	// Stage is which of the daemon's two processes this is; package serve knows them.
	Stage string
}

// Stages of the daemon.
const (
	// StageInit is the first process of the daemon's namespaces, which looks after the second one.
	StageInit = "init"
	// StageServe is BuildKit.
	StageServe = "serve"
)

// Args are the settings as arguments. The stage comes first.
func (s Settings) Args() []string {
	return []string{
		"--stage=" + s.Stage, "--root=" + s.Root, "--socket=" + s.Socket, "--idle=" +
			s.Idle.String(),
		fmt.Sprintf("--keep-storage=%d", s.KeepStorage), "--config=" + s.Config,
		"--client-version=" + s.Version,
	}
}

// ParseArgs reads what [Settings.Args] wrote.
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
		return s,
			fmt.Errorf("pinion-buildkitd is started by pinion (`pinion ensure --builder " +
				"managed`), not by hand")
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
