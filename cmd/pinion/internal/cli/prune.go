package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

const pruneLong = `Remove old images that Pinion built, and print which were removed, which were
kept, and why.

Pinion keeps the newest images of each template, images that a container uses, running or stopped,
and images that a build uses. It removes only its own names of an image and never forces a removal;
an image that the engine refuses to remove stays. Images that Pinion did not build are never
touched. With --max-age, images that were built longer ago are removed as well, with --max-size the
oldest until the rest fits, and with --max-disk-use the oldest until no more than that part of the
disk is in use, by whatever; except, each time, for the newest image of each template. The disk is
that of the images. If it is on another machine, images stay.

Images of pull requests stay by the rules of pull_requests in the config file, whatever --keep says,
and for no longer than their pull request is open. The other bounds remove them first.

Saved build caches are removed too: of each template, at most those of the newest 3 commits stay,
and all of them together fit into --cache-max-size. --max-disk-use applies to the disk of the cache
folder too; --keep, --max-age and --max-size apply only to images.

The size of an image is that of all its layers. Of a folder as the store (--store oci:DIR), what is
reclaimed and what remains is what takes room on the disk: a layer that another image shares is
freed only with that image. An engine does not tell what images share, so that counts with each.

The exit code is 14 if images were to be removed and the store allowed none of it.`

const pruneExample = `  pinion prune --dry-run
  pinion prune --keep 1
  pinion prune --max-age 720h --max-size 20GB
  pinion prune --max-disk-use 80%`

type pruneFlags struct {
	format string
	bounds boundFlags
	use    string
	dryRun bool
	ids    idColumns
}

func (a *app) pruneCommand() *cobra.Command {
	f := &pruneFlags{}
	cmd := &cobra.Command{
		Use:     "prune [flags]",
		Short:   "Remove old images that Pinion built",
		Long:    pruneLong,
		Example: pruneExample,
		Args:    flags.Positional(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.prune(cmd.Context(), f) },
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.dryRun, "dry-run", false, "only print what would be removed")
	f.bounds.register(fs)
	fs.StringVar(&f.use, "max-disk-use", "",
		"largest `percentage` of a disk in use, for example 80% (default no limit)")
	f.ids.register(cmd)
	flags.AddFormat(cmd, &f.format, flags.FormatTable)
	return cmd
}

func (f *pruneFlags) options() (pinion.PruneOptions, error) {
	if err := flags.CheckFormat(f.format, flags.FormatTable); err != nil {
		return pinion.PruneOptions{}, err
	}
	opts, err := f.bounds.options()
	if err != nil {
		return opts, err
	}
	opts.DryRun = f.dryRun
	opts.MaxDiskUse, err = parseUse("max-disk-use", f.use)
	return opts, err
}

func (a *app) prune(ctx context.Context, f *pruneFlags) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	s, err := a.open(flags.Display{})
	if err != nil {
		return err
	}
	report, err := s.Prune(ctx, opts)
	return a.printReport(report, err, f.format, func(w io.Writer) error {
		return a.printPruned(w, f.ids, opts.MaxSize, report)
	})
}

// printReport prints what a call did, which it may have done in spite of err: a failure does not
// undo the removals before it. It returns err, or else the error of printing.
func (a *app) printReport(
	report pinion.PruneReport, err error, format string, readable func(io.Writer) error,
) error {
	if err != nil && len(report.Items) == 0 && len(report.Clones) == 0 {
		return err
	}
	printed := readable
	if format == flags.FormatJSON {
		printed = func(w io.Writer) error {
			return output.JSON(w, struct {
				Schema int `json:"schema"`
				pinion.PruneReport
			}{schema.Version, report})
		}
	}
	return cmp.Or(err, printed(a.program.Stdout), refused(report))
}

// refused returns an error if images were to go and none did.
func refused(report pinion.PruneReport) error {
	var first *pinion.PruneItem
	n := 0
	for i, item := range report.Items {
		switch {
		case item.Action != pinion.PruneKept:
			return nil
		case item.Refused:
			first = cmp.Or(first, &report.Items[i])
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%w: none of the images to remove (%d) could be removed; %s: %s",
		pinion.ErrStore, n, first.Reference, first.Reason)
}

// printPruned prints a table. maxSize is the limit for the images that stay, 0 for none.
func (a *app) printPruned(
	w io.Writer, ids idColumns, maxSize int64, r pinion.PruneReport,
) error {
	var rows [][]string
	for _, i := range r.Items {
		rows = append(rows, []string{
			actionOf(i, r.DryRun), a.clean(i.Name), a.clean(ids.sha(i.Built)),
			a.clean(ids.image(i.Built)),
			output.Size(i.Size), a.clean(i.Reason),
		})
	}
	if err := output.Table(w, []string{"ACTION", "NAME", "SHA", "IMAGE ID", "SIZE", "REASON"},
		rows); err != nil {
		return err
	}
	did := "Reclaimed"
	if r.DryRun {
		did = "Would reclaim"
	}
	if _, err := fmt.Fprintf(w, "\n%s: %s, remaining: %s%s\n", did, output.Size(r.Reclaimed),
		output.Size(r.Remaining), tooMuch(maxSize, r)); err != nil {
		return err
	}
	if err := a.printClones(w, did, r.Clones); err != nil {
		return err
	}
	return printPrunedCache(w, did, r.BuildCache)
}

func (a *app) printClones(w io.Writer, did string, clones []pinion.Clone) error {
	for _, c := range clones {
		if _, err := fmt.Fprintf(w, "%s of a clone: %s, %s\n", did, output.Size(c.Size),
			a.clean(c.Path)); err != nil {
			return err
		}
	}
	return nil
}

func printPrunedCache(w io.Writer, did string, c pinion.BuildCacheReport) error {
	if c.Reclaimed == 0 && len(c.Removed) == 0 && len(c.Kept) == 0 {
		return nil
	}
	busy := ""
	if c.Busy > 0 {
		busy = fmt.Sprintf(" (%d in use were left alone)", c.Busy)
	}
	_, err := fmt.Fprintf(w,
		"%s of saved build caches: %s (of %d commits), remaining: %s (of %d)%s\n",
		did, output.Size(c.Reclaimed), len(c.Removed), output.Size(c.Remaining), len(c.Kept), busy)
	return err
}

// actionOf returns the word for an action. A dry run has words of its own.
func actionOf(i pinion.PruneItem, dryRun bool) string {
	switch {
	case dryRun && i.Action == pinion.PruneRemoved:
		return "remove"
	case dryRun && i.Action == pinion.PruneForgotten:
		return "forget"
	case dryRun && i.Action == pinion.PruneKept:
		return "keep"
	}
	return string(i.Action)
}

// tooMuch returns a remark if the rest is larger than the limit.
func tooMuch(maxSize int64, r pinion.PruneReport) string {
	if maxSize == 0 || r.Remaining <= maxSize {
		return ""
	}
	return ", which is more than " + output.Size(maxSize)
}
