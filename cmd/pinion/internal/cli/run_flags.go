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
	fs.BoolVarP(&f.interactive, "interactive", "i", false, "keep the container's stdin open")
	fs.BoolVarP(&f.tty, "tty", "t", false, "allocate a terminal for the container")
	f.RegisterSource(cmd)
	f.RegisterProgress(cmd)
}

// NoteSet records which flags were set explicitly.
func (f *runFlags) NoteSet(fs *pflag.FlagSet) {
	f.Ensure.NoteSet(fs)
	f.Format = flags.FormatText
	f.streamsSet = fs.Changed("interactive") || fs.Changed("tty")
}

// spec returns the container's settings, but for the image and the arguments.
func (f *runFlags) spec(p Program) (container.Spec, error) {
	terminalIn := container.IsTerminal(p.Stdin)
	if !f.streamsSet && !f.detach {
		f.interactive = terminalIn && container.IsTerminal(p.Stdout)
		f.tty = f.interactive
	}
	if f.tty && f.interactive && !f.detach && !terminalIn {
		return container.Spec{},
			flags.Errorf("--tty with --interactive needs a terminal on stdin; omit --tty")
	}
	env, err := workspaceEnv(f.env, p.Lookup)
	return container.Spec{
		Name: f.name, Env: env, TTY: f.tty, Stdin: f.interactive, Detached: f.detach,
		Remove: f.remove,
	}, err
}
