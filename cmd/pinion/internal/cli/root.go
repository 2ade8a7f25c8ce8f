package cli

import (
	"github.com/spf13/cobra"
)

const rootLong = `Pinion turns a template's name into an image in the local Docker image store, pinned to a Git commit,
without cloning anything: it asks the git server for the commit, hands BuildKit the repository pinned at
it, and brings the image home. Asking again costs one request to each.

Without a Docker engine, --store oci:DIR keeps images in a folder in the format of the OCI image layout, which
skopeo, ctr and others read. On Linux a BuildKit of Pinion's own builds them then (see pinion builder).

Environment (all of it optional; flags come first):
  MOLECULE_IMAGE_REGISTRY              registry to pull from; unset or blank means that images are built here
  MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX  what a runtime's name is appended to
                                       (default https://git.moleculesai.app/molecule-ai/molecule-ai-workspace-template-)
  MOLECULE_GITEA_TOKEN                 credential for the git server in that prefix, and for no other
  MOLECULE_IMAGE_PLATFORM              os/arch[/variant], or native for the builder's own (default linux/amd64)
  MOLECULE_LOCAL_BUILD_CACHE           folder for records, locks and saved build caches
                                       (default $XDG_CACHE_HOME or ~/.cache, then molecule/workspace-template-build)
  PINION_CONFIG                        file with further templates (default $XDG_CONFIG_HOME/pinion/config.yaml)
  PINION_CACHE                         where BuildKit's cache is saved and read: local is a folder in the one above,
                                       registry:REPOSITORY a registry, off neither (default auto: local, but off for the
                                       Docker engine's own BuildKit)
  PINION_ALLOW_HTTP                    1 allows http for git servers elsewhere than on this machine
  PINION_STORE                         where images are kept: docker, or oci:DIR for a folder (default docker)
  BUILDKIT_HOST                        a standalone buildkitd (default: the builder that is selected in buildx)
  BUILDX_BUILDER                       a builder of docker buildx (default: the one selected there, else the Docker engine's own BuildKit)
  PINION_BUILDKIT_IDLE, PINION_BUILDKIT_KEEP_STORAGE, PINION_BUILDKIT_ROOT, PINION_BUILDKIT_CONFIG
                                       for the managed BuildKit; see pinion builder
  PINION_SERVE_TOKEN, PINION_HOOK_SECRET, XDG_RUNTIME_DIR
                                       for pinion serve
  BUILDKIT_PROGRESS                    auto, plain, tty, quiet or rawjson (default auto)
  DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, NO_COLOR
                                       as everywhere`

const rootExample = `  docker run --rm $(pinion ensure claude-code)
  pinion ensure claude-code hermes --format json
  pinion ensure claude-code --store oci:/var/lib/images
  pinion doctor`

// root is the command line's tree.
func (a *app) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pinion",
		Short:   "Images of templates, built from a pinned Git commit",
		Long:    rootLong,
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
