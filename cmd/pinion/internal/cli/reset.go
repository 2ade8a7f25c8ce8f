package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

const resetLong = `Remove everything that Pinion made for these templates, or for all templates if
none is named: images with all of Pinion's names for them, records, and saved build caches. The next
"pinion ensure" builds from the start.

On a terminal, pinion shows what it would remove and asks. Without a terminal it needs --yes.

With --legacy, pinion removes what earlier tools left instead, and nothing else: images without
Pinion's labels under names of the platform's earlier local build
(molecule-local/workspace-template-NAME:COMMIT and :latest), images without a name that Pinion has
built again since, also for another user of the engine, and the earlier local build's clones in the
cache folder (NAME/COMMIT).

As with "pinion prune", images that a container uses, running or stopped, and images that a build
uses stay, and so do their records. Nothing is removed by force, and images that Pinion did not
build are never touched. Records of images whose own store is away stay, since another engine may
answer at its address, or a folder's disk may not be mounted; --forget-away removes them. Only the
current image store and isolation count; repeat the command with another --store, --host or
--isolation for theirs. A builder's own cache stays ("docker builder prune" or "pinion builder
prune" removes that), and so do caches in a registry.`

const resetExample = `  pinion reset --dry-run
  pinion reset claude-code
  pinion reset --legacy --dry-run
  pinion reset --yes --store oci:/var/lib/images`

type resetFlags struct {
	format              string
	dryRun, yes, legacy bool
	forgetAway          bool
	ids                 idColumns
}

func (a *app) resetCommand() *cobra.Command {
	f := &resetFlags{}
	cmd := &cobra.Command{
		Use:               "reset [flags] [NAME...]",
		Short:             "Remove everything that Pinion made for templates",
		Long:              resetLong,
		Example:           resetExample,
		ValidArgsFunction: a.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.reset(cmd.Context(), names, f)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.dryRun, "dry-run", false, "only print what would be removed")
	fs.BoolVarP(&f.yes, "yes", "f", false, "do not ask")
	fs.BoolVar(&f.legacy, "legacy", false, "remove what earlier tools left, and nothing else")
	fs.BoolVar(&f.forgetAway, "forget-away", false, "also forget images whose own store is away, "+
		"such as those of an engine that is gone for good")
	f.ids.register(cmd)
	flags.AddFormat(cmd, &f.format, flags.FormatTable)
	return cmd
}

func (a *app) reset(ctx context.Context, names []string, f *resetFlags) error {
	if err := flags.CheckFormat(f.format, flags.FormatTable); err != nil {
		return err
	}
	asks := !f.yes && !f.dryRun
	if asks && !a.canAsk() {
		return flags.Errorf("reset asks before it removes anything, and there is no terminal: " +
			"add --yes, or --dry-run to see what it would remove")
	}
	s, err := a.open(flags.Display{})
	if err != nil {
		return err
	}
	opts := pinion.ResetOptions{Names: names, Legacy: f.legacy, ForgetAway: f.forgetAway,
		DryRun: f.dryRun || asks}
	report, err := s.Reset(ctx, opts)
	if err == nil && asks && removes(report) {
		if err := a.confirm(ctx, f, report); err != nil {
			return err
		}
		opts.DryRun = false
		report, err = s.Reset(ctx, opts)
	}
	return a.printReport(report, err, f.format, func(w io.Writer) error {
		return a.printPruned(w, f.ids, 0, report)
	})
}

// canAsk reports whether the user sees a question and can answer it.
func (a *app) canAsk() bool {
	return container.IsTerminal(a.program.Stdin) && container.IsTerminal(a.program.Stderr)
}

// removes reports whether a dry run would have changed anything.
func removes(r pinion.PruneReport) bool {
	return len(r.Clones) > 0 || len(r.BuildCache.Removed) > 0 || r.BuildCache.Reclaimed > 0 ||
		slices.ContainsFunc(r.Items, func(i pinion.PruneItem) bool {
			return i.Action != pinion.PruneKept
		})
}

// confirm shows the report of a dry run and asks whether to do it. The error of a "no" is that of a
// cancelled call.
func (a *app) confirm(ctx context.Context, f *resetFlags, r pinion.PruneReport) error {
	if err := a.printPruned(a.program.Stderr, f.ids, 0, r); err != nil {
		return err
	}
	if _, err := fmt.Fprint(a.program.Stderr, "\nRemove these? [y/N] "); err != nil {
		return err
	}
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.program.Stdin).ReadString('\n') // the end of input is a "no"
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case got := <-answer:
		if got == "y" || got == "yes" {
			return nil
		}
	}
	_, _ = fmt.Fprintln(a.program.Stderr, "pinion: nothing was removed")
	return &printedError{exitcode.Cancelled}
}
