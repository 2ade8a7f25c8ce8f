package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
)

func (a *app) buildsCancelCommand(at *buildsFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel [flags] ID",
		Short: "Stop a build",
		Long: `Stop a build. Of this machine's commands it interrupts the process, as Ctrl-C does,
unless that builds something else as well; on Windows it cannot. With --server it stops the build
for all of its callers, which takes the token of an operator if the server has one.`,
		Example: `  pinion builds cancel 3GZQ
  pinion builds cancel 3GZQ --server http://127.0.0.1:7466 --token-file /etc/pinion/operator`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if at.server == "" {
				return a.withHistory(ctx, func(d *history.Dir) error {
					return a.interrupt(ctx, d, args[0])
				})
			}
			s, err := a.remote(at, true)
			if err != nil {
				return err
			}
			b, err := find(ctx, s, args[0])
			if err != nil {
				return err
			}
			return s.Cancel(ctx, b)
		},
	}
}

// interrupt stops the process that builds.
func (a *app) interrupt(ctx context.Context, d *history.Dir, prefix string) error {
	b, err := find(ctx, d, prefix)
	if err != nil {
		return err
	}
	if !b.IsRunning() {
		return fmt.Errorf("%w: the build has ended", pinion.ErrInvalidInput)
	}
	if b.Command == "serve" {
		return fmt.Errorf("%w: a server builds this; use --server with its address",
			pinion.ErrInvalidInput)
	}
	running, err := d.List(ctx, history.Filter{
		Kinds: []string{history.KindRunning, history.KindSave}})
	if err != nil {
		return err
	}
	for _, other := range running {
		if other.IsRunning() && other.PID == b.PID && other.ID != b.ID {
			return fmt.Errorf("%w: process %d builds %s as well; `kill -INT %d` stops both",
				pinion.ErrInvalidInput, b.PID, other.Name, b.PID)
		}
	}
	process, err := os.FindProcess(b.PID)
	if err != nil {
		return err
	}
	return process.Signal(os.Interrupt)
}

func (a *app) buildsRetryCommand(at *buildsFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "retry [flags] ID",
		Short: "Ask again for the template of a build",
		Long: `Ask again for the template of a build: for the head of its branch as it is now, or
for the commit that was chosen by --sha. Other flags of that call, such as --label, are not
repeated. It prints the reference, as pinion ensure does. With --server the server builds, and the
ID of the new build is printed.`,
		Example: `  pinion builds retry 3GZQ
  pinion builds retry 3GZQ --server http://127.0.0.1:7466`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if at.server != "" {
				return a.retryRemotely(ctx, at, args[0])
			}
			var b history.Build
			if err := a.withHistory(ctx, func(d *history.Dir) (err error) {
				b, err = find(ctx, d, args[0])
				return err
			}); err != nil {
				return err
			}
			if err := checkRetry(b); err != nil {
				return err
			}
			again := a.ensureCommand()
			line := []string{b.Name}
			switch {
			case b.Pinned && b.Revision.IsZero():
				return fmt.Errorf("%w: a working tree was built; use `pinion ensure %s --path DIR`",
					pinion.ErrInvalidInput, b.Name)
			case b.Pinned:
				line = append(line, "--sha", b.Revision.String())
			case b.PullRequest != 0:
				line = append(line, "--pull-request", strconv.Itoa(b.PullRequest))
			}
			if err := again.ParseFlags(line); err != nil {
				return err
			}
			again.SetContext(ctx)
			return again.RunE(again, again.Flags().Args())
		},
	}
}

// checkRetry returns an error for a run that makes no image.
func checkRetry(b history.Build) error {
	if b.Saves == "" {
		return nil
	}
	return fmt.Errorf("%w: this saved a cache; retry the build, %s", pinion.ErrInvalidInput,
		b.Saves)
}

func (a *app) retryRemotely(ctx context.Context, at *buildsFlags, prefix string) error {
	s, err := a.remote(at, true)
	if err != nil {
		return err
	}
	b, err := find(ctx, s, prefix)
	if err == nil {
		err = checkRetry(b)
	}
	if err != nil {
		return err
	}
	if b, err = s.Retry(ctx, b); err != nil {
		return err
	}
	text := b.ID
	if text == "" {
		text = b.Reference // it is there
	}
	_, err = fmt.Fprintln(a.program.Stdout, a.clean(text))
	return err
}
