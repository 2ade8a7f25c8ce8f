package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/telemetry"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// Program describes the process in which the command line runs.
type Program struct {
	// Stdin is passed to the container by the verb run. Nil means empty.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Lookup reads the environment, as os.LookupEnv does.
	Lookup func(string) (string, bool)
	// Plugin reports whether Docker's CLI is the caller, see IsPlugin.
	Plugin bool
	// Version of this build. If it is empty, the build info has the version.
	Version string
	// Open creates the orchestrator. The default is pinion.New.
	Open func(...pinion.Option) (Orchestrator, error)
	// Managed creates the manager of the managed BuildKit. The default is daemon.New with Lookup.
	Managed func(version string, opts ...daemon.Option) Manager
	// Detach starts this program with other arguments and with further variables of the
	// environment, as a process that outlives this one. If it is nil, no process can.
	Detach func(args, env []string) error
	// Now is the clock for ages. The default is time.Now.
	Now func() time.Time
}

// Orchestrator is the part of a [pinion.Orchestrator] that the verbs use.
type Orchestrator interface {
	server.Orchestrator[*pinion.Call]
	Names() []string
	Reload() error
	Ensure(ctx context.Context, name string, opts ...pinion.EnsureOption) (pinion.Image, error)
	Resolve(ctx context.Context, name string) (pinion.Resolution, error)
	Head(ctx context.Context, name string) (pinion.Resolution, error)
	Forge(name string) (pinion.Forge, bool)
	PullRequests(name string) (pinion.PullRequests, bool)
	ClosePullRequest(ctx context.Context, name string, number int) error
	Bake(ctx context.Context, names ...string) (pinion.BakeFile, error)
	Prune(ctx context.Context, opts pinion.PruneOptions) (pinion.PruneReport, error)
	Reset(ctx context.Context, opts pinion.ResetOptions) (pinion.PruneReport, error)
	Disk(ctx context.Context) (pinion.Disk, error)
	DiskUsage(ctx context.Context) (pinion.DiskUsage, error)
	Doctor(ctx context.Context) []pinion.Check
	Inspections() pinion.Inspections
	DockerClient() (*client.Client, error)
	SaveCache(ctx context.Context, key string) error
	Close(ctx context.Context) error
}

// Manager is the part of a [daemon.Manager] that the verbs use.
type Manager interface {
	Ensure(ctx context.Context) (addr string, err error)
	Status(ctx context.Context) (daemon.Status, error)
	Stop(ctx context.Context, grace time.Duration) (bool, error)
	Logs(ctx context.Context, w io.Writer, lines int, follow bool) error
	Prune(ctx context.Context, what daemon.Prune) (int64, error)
}

func (p Program) withDefaults() Program {
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	if p.Lookup == nil {
		p.Lookup = func(string) (string, bool) { return "", false }
	}
	if p.Open == nil {
		p.Open = openPinion
	}
	if p.Managed == nil {
		p.Managed = func(version string, opts ...daemon.Option) Manager {
			return daemon.New(version, p.Lookup, opts...)
		}
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return p
}

// openPinion returns a nil interface on failure, not an interface around a nil pointer.
func openPinion(opts ...pinion.Option) (Orchestrator, error) {
	o, err := pinion.New(opts...)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Run executes the arguments (without the program's name) and returns the exit code. If ctx is
// cancelled, work in progress stops and the exit code is 130.
func Run(ctx context.Context, p Program, args []string) int {
	a := newApp(p)
	root := a.root
	if p.Plugin {
		root = a.plugin
	}
	tree := root()
	tree.SetArgs(args)
	cmd, err := tree.ExecuteContextC(telemetry.Parent(ctx, a.program.Lookup))
	a.traces.Close(ctx)
	if err == nil {
		return exitcode.OK
	}
	if wrong, ok := errors.AsType[*flags.Error](err); ok {
		wrong.Path = cmd.CommandPath()
	}
	code := exitCode(ctx, err)
	if !isPrinted(err) {
		a.printError(ctx, a.program.Stderr, jsonRequested(cmd), "", err)
	}
	return code
}
