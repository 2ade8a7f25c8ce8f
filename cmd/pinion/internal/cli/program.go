package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
)

// Program is what a run gets from the process it is in.
type Program struct {
	// Stdin is what run hands on to a container. Nil is empty.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Lookup reads the environment, as os.LookupEnv does.
	Lookup func(string) (string, bool)
	// Plugin says that Docker's CLI calls, see IsPlugin.
	Plugin bool
	// Version is this build's; empty leaves it to the build info.
	Version string
	// Open makes the orchestrator. The default is pinion.New.
	Open func(...pinion.Option) (Orchestrator, error)
	// Managed makes the manager of the managed BuildKit. The default is daemon.New with Lookup.
	Managed func(version string, opts ...daemon.Option) managed
	// Now is the clock for ages. The default is time.Now.
	Now func() time.Time
}

// Orchestrator is all that the verbs need of a pinion.Orchestrator.
type Orchestrator interface {
	namer
	ensurer
	baker
	resolver
	lister
	pruner
	measurer
	examiner
	engineOwner
	server.Orchestrator[*pinion.Call]
	// Close waits for what goes on after Ensure.
	Close(ctx context.Context) error
}

// namer knows the catalogue.
type namer interface{ Names() []string }

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
		p.Managed = func(version string, opts ...daemon.Option) managed {
			return daemon.New(version, p.Lookup, opts...)
		}
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return p
}

// openPinion keeps a nil pointer from becoming an interface that is not nil.
func openPinion(opts ...pinion.Option) (Orchestrator, error) {
	o, err := pinion.New(opts...)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Run executes the arguments (without the program's name) and returns the exit code. Cancelling ctx
// stops what is under way; the code is 130 then.
func Run(ctx context.Context, p Program, args []string) int {
	a := newApp(p)
	root := a.root
	if p.Plugin {
		root = a.plugin
	}
	tree := root()
	tree.SetArgs(args)
	cmd, err := tree.ExecuteContextC(ctx)
	if err == nil {
		return exitcode.OK
	}
	if wrong, ok := errors.AsType[*usageError](err); ok {
		wrong.path = cmd.CommandPath()
	}
	code := exitCode(ctx, err)
	if !isTold(err) {
		a.tell(ctx, a.program.Stderr, jsonWanted(cmd), "", err)
	}
	return code
}
