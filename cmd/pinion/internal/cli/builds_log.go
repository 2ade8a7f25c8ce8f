package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

func (a *app) buildsLogsCommand(at *buildsFlags) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:     "logs [flags] ID",
		Short:   "Print what the steps of a build printed",
		Example: "  pinion builds logs 3GZQ\n  pinion builds logs --follow 3GZQ",
		Args:    oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBuilds(cmd.Context(), at, func(b builds) error {
				found, err := find(cmd.Context(), b, args[0])
				if err != nil {
					return err
				}
				return a.printLog(cmd.Context(), b, found, follow)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the build has ended")
	return cmd
}

func (a *app) logsCommand() *cobra.Command {
	at := &buildsFlags{}
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [flags] NAME",
		Short: "Print the log of a template's last build",
		Long: `Print what the steps of a template's last build printed. A hit builds nothing and
has no log.`,
		Example: `  pinion logs claude-code
  pinion logs --follow claude-code
  pinion logs claude-code --server unix:///run/pinion/pinion.sock`,
		Args:              flags.OneName,
		ValidArgsFunction: a.completeNames(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withBuilds(cmd.Context(), at, func(b builds) error {
				list, err := b.List(cmd.Context(), history.Filter{Names: args, Limit: 1,
					Kinds: history.Builds()})
				if err != nil {
					return err
				}
				if len(list) == 0 {
					return fmt.Errorf("%w: the history has no build of %s", pinion.ErrNotFound,
						args[0])
				}
				return a.printLog(cmd.Context(), b, list[0], follow)
			})
		},
	}
	at.register(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the build has ended")
	return cmd
}

// printLog prints the log of a build: a line for each step that begins, and what it prints.
func (a *app) printLog(ctx context.Context, from builds, b history.Build, follow bool) error {
	w, step := a.program.Stdout, 0
	names := map[int]string{} // of steps; a line of output has the number alone
	for e, err := range from.Events(ctx, b.ID, follow) {
		if err != nil {
			return err
		}
		var text string
		switch e.Type {
		case pinion.EventStep:
			if e.Step != nil {
				names[e.Step.Number] = e.Step.Name
			}
			continue
		case pinion.EventLog:
			text = e.Text
			if e.Step != nil && e.Step.Number != step {
				step = e.Step.Number
				head := fmt.Sprintf("#%d %s", step, a.clean(names[step]))
				if _, err := fmt.Fprintln(w, head); err != nil {
					return err
				}
			}
		case pinion.EventCheck, pinion.EventNotice:
			text = e.Text
		case pinion.EventFailed:
			if e.Failure != nil {
				text = e.Failure.Message
			}
		default:
			continue
		}
		if _, err := fmt.Fprintln(w, a.clean(text)); err != nil {
			return err
		}
	}
	return ctx.Err()
}
