package cli

import (
	"fmt"
	"time"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/envdoc"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

const builderLong = `Manage Pinion's own BuildKit, for machines that have neither a Docker engine
nor another builder.

pinion ensure starts it if it is not running: with --builder managed, and with --store oci:DIR if no
builder is named and no Docker engine can build. It serves all commands of its user, outlives them,
and ends when it has been idle for a while. It needs Linux, root, runc and git.

RUN steps use the host's network and root's rights over the machine. Like a Docker engine, it trusts
the authors of the templates.

Its settings apply from its start to its end:
`

const builderExample = `  pinion builder status
  pinion builder logs --follow
  pinion builder prune --keep-storage 5GB
  pinion builder stop`

func (a *app) builderCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "builder",
		Short:   "Manage Pinion's own BuildKit",
		Long:    builderLong + envdoc.Text(envdoc.Managed()),
		Example: builderExample,
		Args:    flags.NoCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.builderStatusCommand(), a.builderStopCommand(), a.builderLogsCommand(),
		a.builderPruneCommand())
	return cmd
}

func (a *app) builderStatusCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "status [flags]",
		Short:   "Show whether the managed BuildKit is running, and its state",
		Example: "  pinion builder status\n  pinion builder status --format json",
		Args:    flags.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withManager(format, func(m Manager) error {
				st, err := m.Status(cmd.Context())
				if err != nil {
					return err
				}
				return a.printStatus(a.program.Stdout, format, st)
			})
		},
	}
	flags.AddFormat(cmd, &format, flags.FormatText)
	return cmd
}

func (a *app) builderStopCommand() *cobra.Command {
	var format string
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "stop [flags]",
		Short: "Stop the managed BuildKit",
		Long: `Stop the managed BuildKit. It accepts no new builds from then on. Builds in progress
may finish within the timeout and are cancelled after it. The build cache stays. It is no error if
the managed BuildKit is not running.`,
		Example: "  pinion builder stop\n  pinion builder stop --timeout 10m",
		Args:    flags.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if grace < 0 {
				return flags.Errorf("--timeout %s is negative", grace)
			}
			return a.withManager(format, func(m Manager) error {
				stopped, err := m.Stop(cmd.Context(), grace)
				if err != nil {
					return err
				}
				return a.printStopped(a.program.Stdout, format, stopped)
			})
		},
	}
	flags.AddFormat(cmd, &format, flags.FormatText)
	cmd.Flags().DurationVar(&grace, "timeout", 10*time.Second,
		"how long builds in progress may continue")
	return cmd
}

func (a *app) builderLogsCommand() *cobra.Command {
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:     "logs [flags]",
		Short:   "Print the managed BuildKit's log",
		Example: "  pinion builder logs --tail 50\n  pinion builder logs --follow",
		Args:    flags.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withManager(flags.FormatText, func(m Manager) error {
				w := output.CleanWriter{W: a.program.Stdout, Clean: a.clean}
				return m.Logs(cmd.Context(), w, lines, follow)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print new lines as well, until Ctrl-C")
	cmd.Flags().IntVarP(&lines, "tail", "n", -1, "print only the last `lines`")
	return cmd
}

func (a *app) builderPruneCommand() *cobra.Command {
	var format, keep string
	var what daemon.Prune
	cmd := &cobra.Command{
		Use:   "prune [flags]",
		Short: "Remove build cache of the managed BuildKit",
		Long: `Remove build cache of the managed BuildKit that no build in progress uses. Images in
the image store are not touched. The managed BuildKit is started if it is not running.`,
		Example: "  pinion builder prune\n  pinion builder prune --all --keep-storage 5GB " +
			"--older-than 48h",
		Args: flags.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keep != "" {
				n, err := units.FromHumanSize(keep)
				if err != nil || n < 0 {
					return flags.Errorf("--keep-storage %q is not a size such as 5GB", keep)
				}
				what.KeepStorage = n
			}
			return a.withManager(format, func(m Manager) error {
				freed, err := m.Prune(cmd.Context(), what)
				if err != nil {
					return err
				}
				return a.printFreed(a.program.Stdout, format, freed)
			})
		},
	}
	flags.AddFormat(cmd, &format, flags.FormatText)
	cmd.Flags().BoolVarP(&what.All, "all", "a", false,
		"also remove BuildKit's internal records, such as frontends")
	cmd.Flags().StringVar(&keep, "keep-storage", "",
		"`size` of the cache to keep, for example 5GB (default nothing)")
	cmd.Flags().DurationVar(&what.OlderThan, "older-than", 0,
		"keep cache that was used within this time")
	return cmd
}

// buildkitdCommand starts the program of the daemon, which users may look for under its name.
func (a *app) buildkitdCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "buildkitd",
		Short:              "Run the managed BuildKit itself, as pinion does when it needs it",
		Example:            "  pinion buildkitd",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			return daemon.New(a.program.Version, a.program.Lookup).Exec(args)
		},
	}
}

// withManager runs a verb on the managed BuildKit.
func (a *app) withManager(format string, run func(Manager) error) error {
	if err := flags.CheckFormat(format, flags.FormatText); err != nil {
		return err
	}
	m, err := a.manager(func(notice string) {
		_, _ = fmt.Fprintln(a.program.Stderr, "pinion: "+a.clean(notice))
	})
	if err != nil {
		return err
	}
	return run(m)
}
