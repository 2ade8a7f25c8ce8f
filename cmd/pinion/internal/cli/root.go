package cli

import (
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/envdoc"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

const rootLong = `Pinion turns a template's name into an image in the local Docker image store,
pinned to a Git commit, without a clone. It asks the git server for the commit, passes the
repository pinned at that commit to BuildKit, and loads the result into the image store. If the
image exists already, that takes one request to the git server and two small ones to the engine.

Without a Docker engine, --store oci:DIR keeps images in a folder in the format of the OCI image
layout, which skopeo, ctr and other programs read. On Linux, Pinion's own BuildKit then builds the
images (see pinion builder).

Environment (all optional; a flag takes precedence over its variable):
`

const rootExample = `  docker run --rm $(pinion ensure claude-code)
  pinion ensure claude-code hermes --format json
  pinion ensure claude-code --store oci:/var/lib/images
  pinion doctor`

// root returns the tree of commands.
func (a *app) root() *cobra.Command {
	showVersion := false
	cmd := &cobra.Command{
		Use:     "pinion",
		Short:   "Build images of templates from a pinned Git commit",
		Long:    rootLong + envdoc.Text(envdoc.Variables()),
		Example: rootExample,
		Args:    flags.NoCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if showVersion {
				return versionOf(a.program.Version).print(a.program.Stdout, flags.FormatText)
			}
			return cmd.Help()
		},
		// Run prints errors, together with what to do about them.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetOut(a.program.Stdout)
	cmd.SetErr(a.program.Stderr)
	cmd.SetFlagErrorFunc(flags.ParseError)
	cmd.SetUsageFunc(printUsage)
	cmd.Flags().BoolVar(&showVersion, "version", false,
		"show the version, as the verb version does")
	a.global.Register(cmd)
	_ = cmd.RegisterFlagCompletionFunc("builder", a.completeBuilders)
	cmd.AddCommand(
		a.ensureCommand(), a.bakeCommand(), a.runCommand(), a.resolveCommand(), a.lsCommand(),
		a.pruneCommand(), a.resetCommand(), a.duCommand(), a.buildsCommand(), a.logsCommand(),
		a.serveCommand(), a.pageCommand(), a.tokenCommand(), a.doctorCommand(), a.builderCommand(),
		a.buildkitdCommand(), a.saveCacheCommand(), a.configCommand(), a.versionCommand(),
		a.completionCommand(), exitCodesTopic(),
	)
	return cmd
}

// completeBuilders completes the names of builders: the managed one, and those of buildx.
func (a *app) completeBuilders(
	*cobra.Command, []string, string,
) ([]cobra.Completion, cobra.ShellCompDirective) {
	docker, _ := a.program.Lookup("DOCKER_CONFIG")
	if home, _ := a.program.Lookup("HOME"); docker == "" && home != "" {
		docker = filepath.Join(home, ".docker")
	}
	return append([]cobra.Completion{flags.Managed},
		buildx.Find(a.program.Lookup, docker).Names()...), cobra.ShellCompDirectiveNoFileComp
}

// completeNames completes at most a number of template names from the catalogue; 0 means no limit.
// The catalogue is local.
func (a *app) completeNames(most int) cobra.CompletionFunc {
	return func(
		_ *cobra.Command, args []string, _ string,
	) ([]cobra.Completion, cobra.ShellCompDirective) {
		s, err := a.open(flags.Display{Silent: true})
		if err != nil || most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, name := range s.Names() {
			if !slices.Contains(args, name) {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
