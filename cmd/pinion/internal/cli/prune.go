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
touched. With --max-size, the oldest images are removed as well until the rest fits, except for the
newest image of each template.

Saved build caches are removed too: of each template, at most those of the newest 3 commits stay,
and all of them together fit into --cache-max-size. --keep and --max-size apply only to images.

Sizes are those of whole images: a layer that another image shares is freed only with that image.`

const pruneExample = `  pinion prune --dry-run
  pinion prune --keep 1
  pinion prune --max-size 20GB`

type pruneFlags struct {
	format       string
	keep         int
	maxSize      string
	cacheMaxSize string
	dryRun       bool
	ids          idColumns
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
	fs.IntVar(&f.keep, "keep", pinion.DefaultKeep,
		"`number` of newest images to keep for each template")
	fs.StringVar(&f.maxSize, "max-size", "",
		"largest `size` of all images together, for example 20GB or 512MiB (default no limit)")
	fs.StringVar(&f.cacheMaxSize, "cache-max-size", "",
		"largest `size` of all saved build caches together (default 10GB)")
	f.ids.register(cmd)
	flags.AddFormat(cmd, &f.format, flags.FormatTable)
	return cmd
}

func (f *pruneFlags) options() (pinion.PruneOptions, error) {
	opts := pinion.PruneOptions{Keep: f.keep, DryRun: f.dryRun}
	if err := flags.CheckFormat(f.format, flags.FormatTable); err != nil {
		return opts, err
	}
	if f.keep < 1 {
		return opts, flags.Errorf("--keep %d: use at least 1, because the newest image of a "+
			"template is always kept", f.keep)
	}
	for _, limit := range []struct {
		flag, value string
		to          *int64
	}{{"max-size", f.maxSize, &opts.MaxSize},
		{"cache-max-size", f.cacheMaxSize, &opts.CacheMaxSize}} {
		if limit.value == "" {
			continue
		}
		var err error
		if *limit.to, err = flags.ParseSize(limit.value); err != nil || *limit.to <= 0 {
			return opts, flags.Errorf("--%s %q: use a number above 0 with a unit, for example "+
				"20GB or 512MiB", limit.flag, limit.value)
		}
	}
	return opts, nil
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
	return cmp.Or(err, printed(a.program.Stdout))
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
