package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// runFlags are flags of docker run, under the same names, and those of ensure that apply to one
// container.
type runFlags struct {
	flags.Ensure
	docker           dockerFlags
	workspace        bool
	detach, remove   bool
	interactive, tty bool
	// streamsSet reports whether -i or -t is set, to either value.
	streamsSet bool
	name       string
	env        []string
}

func (f *runFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVarP(&f.detach, "detach", "d", false, "leave the container running and print its ID")
	fs.BoolVar(&f.remove, "rm", false, "remove the container when it ends")
	fs.StringVar(&f.name, "name", "", "`name` of the container")
	fs.StringArrayVarP(&f.env, "env", "e", nil,
		"`variable` for the container: NAME=value, or NAME for its current value; can be repeated")
	fs.BoolVar(&f.workspace, "workspace", false,
		"also set what a workspace server sets: volumes, port, labels, restart policy, log limits")
	f.docker = newDockerFlags()
	f.docker.register(fs)
	fs.BoolVarP(&f.interactive, "interactive", "i", false, "keep the container's stdin open")
	fs.BoolVarP(&f.tty, "tty", "t", false, "allocate a terminal for the container")
	f.RegisterSource(cmd)
	f.RegisterProgress(cmd)
}

// NoteSet records which flags were set explicitly.
func (f *runFlags) NoteSet(fs *pflag.FlagSet) {
	f.Ensure.NoteSet(fs)
	f.Format = flags.FormatText
	f.docker.noteSet(fs)
	f.streamsSet = fs.Changed("interactive") || fs.Changed("tty")
}

// spec returns the settings of a template's container, but for the image and the arguments.
func (f *runFlags) spec(p Program, template string) (container.Spec, error) {
	terminalIn := container.IsTerminal(p.Stdin)
	if !f.streamsSet && !f.detach {
		f.interactive = terminalIn && container.IsTerminal(p.Stdout)
		f.tty = f.interactive
	}
	if f.tty && f.interactive && !f.detach && !terminalIn {
		return container.Spec{},
			flags.Errorf("--tty with --interactive needs a terminal on stdin; omit --tty")
	}
	fromFiles, err := f.docker.variables(p.Lookup)
	if err != nil {
		return container.Spec{}, err
	}
	env, err := workspaceEnv(fromFiles, f.env, p.Lookup)
	if err != nil {
		return container.Spec{}, err
	}
	spec := container.Spec{
		Name: f.name, Env: env.list(), TTY: f.tty, Stdin: f.interactive, Detached: f.detach,
		Remove: f.remove,
	}
	if err := f.docker.apply(&spec); err != nil {
		return spec, err
	}
	if f.workspace {
		if err := checkWorkspaceID(env.values[envWorkspaceID]); err != nil {
			return spec, err
		}
		asWorkspace(&spec, template, env)
	}
	return spec, nil
}
