package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/envdoc"
)

const builderLong = `Manage Pinion's own BuildKit, for machines that have neither a Docker engine nor another builder.

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
		Short:   "Look after the managed BuildKit",
		Long:    builderLong + envdoc.Text(envdoc.Managed()),
		Example: builderExample,
		Args:    noCommand,
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
		Short:   "Show whether the managed BuildKit runs, and what it does",
		Example: "  pinion builder status\n  pinion builder status --format json",
		Args:    positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withBuilder(format, func(m managed) error {
				st, err := m.Status(cmd.Context())
				if err != nil {
					return err
				}
				return a.printStatus(a.program.Stdout, format, st)
			})
		},
	}
	formatFlag(cmd.Flags(), &format, formatText)
	completeChoices(cmd, "format", formatText, formatJSON)
	return cmd
}

func (a *app) builderStopCommand() *cobra.Command {
	var format string
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "stop [flags]",
		Short: "End the managed BuildKit in good order",
		Long: `End the managed BuildKit in good order. It takes no new builds at once; those under way have the timeout to end,
and are cancelled then. Its cache stays. That it does not run is no error.`,
		Example: "  pinion builder stop\n  pinion builder stop --timeout 10m",
		Args:    positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if grace < 0 {
				return usage("--timeout %s is negative", grace)
			}
			return a.withBuilder(format, func(m managed) error {
				stopped, err := m.Stop(cmd.Context(), grace)
				if err != nil {
					return err
				}
				return a.printStopped(a.program.Stdout, format, stopped)
			})
		},
	}
	formatFlag(cmd.Flags(), &format, formatText)
	cmd.Flags().DurationVar(&grace, "timeout", 10*time.Second,
		"how long builds under way may go on")
	completeChoices(cmd, "format", formatText, formatJSON)
	return cmd
}

func (a *app) builderLogsCommand() *cobra.Command {
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:     "logs [flags]",
		Short:   "Print the managed BuildKit's log",
		Example: "  pinion builder logs --tail 50\n  pinion builder logs --follow",
		Args:    positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withBuilder(formatText, func(m managed) error {
				return m.Logs(cmd.Context(), cleanWriter{a}, lines, follow)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written, until Ctrl-C")
	cmd.Flags().IntVarP(&lines, "tail", "n", -1, "print the last `lines` alone")
	return cmd
}

func (a *app) builderPruneCommand() *cobra.Command {
	var format, keep string
	var what daemon.Prune
	cmd := &cobra.Command{
		Use:   "prune [flags]",
		Short: "Remove build cache of the managed BuildKit",
		Long: `Remove build cache of the managed BuildKit that no build under way uses. Images in the image store are not
touched. It is started if it does not run.`,
		Example: "  pinion builder prune\n  pinion builder prune --all --keep-storage 5GB " +
			"--older-than 48h",
		Args: positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keep != "" {
				n, err := units.FromHumanSize(keep)
				if err != nil || n < 0 {
					return usage("--keep-storage %q is no size, such as 5GB", keep)
				}
				what.KeepStorage = n
			}
			return a.withBuilder(format, func(m managed) error {
				freed, err := m.Prune(cmd.Context(), what)
				if err != nil {
					return err
				}
				return a.printFreed(a.program.Stdout, format, freed)
			})
		},
	}
	formatFlag(cmd.Flags(), &format, formatText)
	cmd.Flags().BoolVarP(&what.All, "all", "a", false,
		"also what BuildKit keeps for itself, such as frontends")
	cmd.Flags().StringVar(&keep, "keep-storage", "",
		"leave this `size`, for example 5GB (default nothing)")
	cmd.Flags().DurationVar(&what.OlderThan, "older-than", 0,
		"leave what was used within this time")
	completeChoices(cmd, "format", formatText, formatJSON)
	return cmd
}

// buildkitdCommand is the daemon's own program, for those who look for it where its name is.
func (a *app) buildkitdCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "buildkitd",
		Short:              "The managed BuildKit itself; pinion starts it",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			return daemon.New(a.program.Version, a.program.Lookup).Exec(args)
		},
	}
}

// withBuilder runs a verb of the managed builder.
func (a *app) withBuilder(format string, run func(managed) error) error {
	if err := oneOf("format", format, formatText, formatJSON); err != nil {
		return err
	}
	m, err := a.managedBuilder(func(notice string) {
		_, _ = fmt.Fprintln(a.program.Stderr, "pinion: "+a.clean(notice))
	})
	if err != nil {
		return err
	}
	return run(m)
}

func (a *app) printStatus(w io.Writer, format string, st daemon.Status) error {
	if format == formatJSON {
		return writeJSON(w, struct {
			Schema int `json:"schema"`
			daemon.Status
		}{schemaVersion, st})
	}
	rows := [][2]string{{"Running", "no"}, {"Root", st.Root}, {"Log", st.Log}}
	if p := st.Process; p != nil {
		idle := "never"
		if p.IdleExit > 0 {
			idle = "after " + (time.Duration(p.IdleExit) * time.Second).String()
		}
		running := "yes"
		if p.Stopping {
			running = "about to end"
		}
		rows = [][2]string{
			{"Running", running}, {"PID", fmt.Sprint(p.PID)}, {"Address", p.Address},
			{"Version", fmt.Sprintf("%s (BuildKit %s)", p.Version, p.BuildKit)},
			{"Root", st.Root}, {"Log", st.Log}, {"Snapshots", p.Snapshotter},
			{"Uptime", (time.Duration(p.Uptime) * time.Second).String()},
			{"Disk usage", fmt.Sprintf("%s (garbage collection leaves %s)", size(p.DiskUsage),
				size(p.KeepStorage))},
			{"Active builds", fmt.Sprint(p.ActiveBuilds)}, {"Idle exit", idle},
		}
	}
	for _, r := range rows {
		if _, err := fmt.Fprintf(w, "%-15s%s\n", r[0]+":", a.clean(r[1])); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printStopped(w io.Writer, format string, stopped bool) error {
	if format == formatJSON {
		return writeJSON(w, struct {
			Schema  int  `json:"schema"`
			Stopped bool `json:"stopped"`
		}{schemaVersion, stopped})
	}
	text := "the managed BuildKit has ended"
	if !stopped {
		text = "the managed BuildKit does not run"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func (a *app) printFreed(w io.Writer, format string, freed int64) error {
	if format == formatJSON {
		return writeJSON(w, struct {
			Schema int   `json:"schema"`
			Freed  int64 `json:"freed_bytes"`
		}{schemaVersion, freed})
	}
	_, err := fmt.Fprintln(w, "freed "+size(freed))
	return err
}

// cleanWriter makes a log fit for the terminal.
type cleanWriter struct{ a *app }

func (c cleanWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(c.a.program.Stdout, c.a.clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// isManaged says whether an error is the managed builder's.
func isManaged(err error) bool {
	_, ok := errors.AsType[*daemon.Error](err)
	return ok
}
