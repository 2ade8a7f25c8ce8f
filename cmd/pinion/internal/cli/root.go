package cli

import (
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/envdoc"
)

const rootLong = `Pinion turns a template's name into an image in the local Docker image store, pinned to a Git
commit, without a clone. It asks the git server for the commit, passes the repository pinned at that
commit to BuildKit, and loads the result into the image store. If the image exists already, that
takes one request to the git server and two small ones to the engine.

Without a Docker engine, --store oci:DIR keeps images in a folder in the format of the OCI image
layout, which skopeo, ctr and other programs read. On Linux, Pinion's own BuildKit then builds the
images (see pinion builder).

Environment (all optional; a flag takes precedence over its variable):
`

const rootExample = `  docker run --rm $(pinion ensure claude-code)
  pinion ensure claude-code hermes --format json
  pinion ensure claude-code --store oci:/var/lib/images
  pinion doctor`

// root is the command line's tree.
func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pinion",
		Short:   "Images of templates, built from a pinned Git commit",
		Long:    rootLong + envdoc.Text(envdoc.Variables()),
		Example: rootExample,
		Args:    noCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// Errors are printed in one place, by Run, and with them what to do.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetOut(a.program.Stdout)
	cmd.SetErr(a.program.Stderr)
	cmd.SetFlagErrorFunc(flagError)
	a.global.register(cmd.PersistentFlags())
	completeChoices(cmd, "log-level", logLevels()...)
	cmd.AddCommand(
		a.ensureCommand(), a.bakeCommand(), a.runCommand(), a.resolveCommand(), a.lsCommand(),
		a.pruneCommand(), a.duCommand(),
		a.serveCommand(), a.doctorCommand(), a.builderCommand(), a.buildkitdCommand(),
		a.versionCommand(), a.completionCommand(), exitCodesTopic(),
	)
	return cmd
}

// completeNames completes template names from the catalogue, which is local.
func (a *app) completeNames(most int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string,
		_ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		s, err := a.open(display{silent: true})
		if err != nil || most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		taken := map[string]bool{}
		for _, name := range args {
			taken[name] = true
		}
		var names []cobra.Completion
		for _, name := range s.Names() {
			if !taken[name] {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
