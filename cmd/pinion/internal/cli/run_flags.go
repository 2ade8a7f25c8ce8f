package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
)

// runFlags are those of docker run, under its names, and those of ensure that make sense for one
// container.
type runFlags struct {
	ensureFlags
	detach, remove   bool
	interactive, tty bool
	// asked says that -i or -t was given, either way.
	asked bool
	name  string
	env   []string
}

func (f *runFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVarP(&f.detach, "detach", "d", false, "leave the container running and print its ID")
	fs.BoolVar(&f.remove, "rm", false, "remove the container when it ends")
	fs.StringVar(&f.name, "name", "", "`name` of the container")
	fs.StringArrayVarP(&f.env, "env", "e", nil,
		"`variable` for the container, NAME=value, or NAME for the value that it has here; can "+
			"be repeated")
	fs.BoolVarP(&f.interactive, "interactive", "i", false, "keep the container's stdin open")
	fs.BoolVarP(&f.tty, "tty", "t", false, "give the container a terminal")
	f.registerSource(fs)
	f.registerProgress(cmd)
}

func (f *runFlags) given(fs *pflag.FlagSet) {
	f.ensureFlags.given(fs)
	f.format = formatText
	f.asked = fs.Changed("interactive") || fs.Changed("tty")
}

func (f *runFlags) spec(p Program) (container.Spec, error) {
	keys := container.IsTerminal(p.Stdin)
	if !f.asked && !f.detach {
		f.interactive = keys && container.IsTerminal(p.Stdout)
		f.tty = f.interactive
	}
	if f.tty && f.interactive && !f.detach && !keys {
		return container.Spec{},
			usage("--tty with --interactive wants a terminal on stdin, and there is none; leave " +
				"--tty out")
	}
	env, err := workspaceEnv(f.env, p.Lookup)
	return container.Spec{
		Name: f.name, Env: env, TTY: f.tty, Stdin: f.interactive, Detached: f.detach,
		Remove: f.remove,
	}, err
}
