package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
)

const pruneLong = `Remove old images that Pinion built, and show what was removed, what was kept, and why.

Kept are the newest of each template, what a container uses, running or stopped, and what a build is using.
An image is removed by Pinion's own names for it and never by force; what the engine refuses to remove stays.
Images that somebody else made are never touched. With --max-size the oldest go as well, until the rest fits;
the newest of each template stays even so.

Saved build caches go too: of each template those of the newest 3 commits stay at most, and all of them
together fit into --cache-max-size. --keep and --max-size are for images alone.

Sizes are those of whole images: layers that another image shares take their room until that one has gone.`

const pruneExample = `  pinion prune --dry-run
  pinion prune --keep 1
  pinion prune --max-size 20GB`

// pruner removes what is old.
type pruner interface {
	Prune(ctx context.Context, opts pinion.PruneOptions) (pinion.PruneReport, error)
}

type pruneFlags struct {
	format       string
	keep         int
	maxSize      string
	cacheMaxSize string
	dryRun       bool
	noTrunc      bool
}

func (a *app) pruneCommand() *cobra.Command {
	f := &pruneFlags{}
	cmd := &cobra.Command{
		Use:     "prune [flags]",
		Short:   "Remove old images that Pinion built",
		Long:    pruneLong,
		Example: pruneExample,
		Args:    positional(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.prune(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "change nothing, and show what would be removed")
	flags.IntVar(&f.keep, "keep", pinion.DefaultKeep,
		"`number` of images to keep of each template, the newest")
	flags.StringVar(&f.maxSize, "max-size", "",
		"`size` that all images may take together, as 20GB or 512MiB (default: no bound)")
	flags.StringVar(&f.cacheMaxSize, "cache-max-size", "",
		"`size` that all saved build caches may take together (default 10GB)")
	flags.BoolVar(&f.noTrunc, "no-trunc", false, "show commits and image IDs in full")
	formatFlag(flags, &f.format, formatTable)
	completeChoices(cmd, "format", formatTable, formatJSON)
	return cmd
}

func (f *pruneFlags) options() (pinion.PruneOptions, error) {
	opts := pinion.PruneOptions{Keep: f.keep, DryRun: f.dryRun}
	if err := oneOf("format", f.format, formatTable, formatJSON); err != nil {
		return opts, err
	}
	if f.keep < 1 {
		return opts, usage("--keep %d: at least 1, the newest image of a template is always kept",
			f.keep)
	}
	for _, bound := range []struct {
		flag, value string
		to          *int64
	}{{"max-size", f.maxSize, &opts.MaxSize},
		{"cache-max-size", f.cacheMaxSize, &opts.CacheMaxSize}} {
		if bound.value == "" {
			continue
		}
		var err error
		if *bound.to, err = parseSize(bound.value); err != nil || *bound.to <= 0 {
			return opts, usage("--%s %q: write a number above 0 with a unit, as 20GB or 512MiB",
				bound.flag, bound.value)
		}
	}
	return opts, nil
}

// parseSize takes the units at their word: GB is ten to the ninth, as in what is printed, GiB two
// to the thirtieth.
func parseSize(s string) (int64, error) {
	if strings.Contains(strings.ToLower(s), "ib") {
		return units.RAMInBytes(s)
	}
	return units.FromHumanSize(s)
}

func (a *app) prune(ctx context.Context, f *pruneFlags) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	s, err := a.open(display{})
	if err != nil {
		return err
	}
	report, err := s.Prune(ctx, opts)
	// What was done before a failure was done.
	if err == nil || len(report.Items) > 0 {
		if printed := a.printPruned(a.program.Stdout, f, opts, report); err == nil {
			err = printed
		}
	}
	return err
}

func (a *app) printPruned(w io.Writer, f *pruneFlags, opts pinion.PruneOptions,
	r pinion.PruneReport) error {
	if f.format == formatJSON {
		return writeJSON(w, struct {
			Schema int `json:"schema"`
			pinion.PruneReport
		}{schemaVersion, r})
	}
	names := lsFlags{noTrunc: f.noTrunc}
	var rows [][]string
	for _, i := range r.Items {
		rows = append(rows, []string{
			actionOf(i, r.DryRun), a.clean(i.Name), a.clean(names.sha(i.Built)),
			a.clean(names.id(i.Built)),
			size(i.Size), a.clean(i.Reason),
		})
	}
	if err := writeTable(w, []string{"ACTION", "NAME", "SHA", "IMAGE ID", "SIZE", "REASON"},
		rows); err != nil {
		return err
	}
	did := "Reclaimed"
	if r.DryRun {
		did = "Would reclaim"
	}
	if _, err := fmt.Fprintf(w, "\n%s: %s, remaining: %s%s\n", did, size(r.Reclaimed),
		size(r.Remaining), tooMuch(opts, r)); err != nil {
		return err
	}
	c := r.BuildCache
	if c.Reclaimed == 0 && len(c.Removed) == 0 && len(c.Kept) == 0 {
		return nil
	}
	busy := ""
	if c.Busy > 0 {
		busy = fmt.Sprintf(" (%d in use were left alone)", c.Busy)
	}
	_, err := fmt.Fprintf(w,
		"%s of saved build caches: %s (of %d commits), remaining: %s (of %d)%s\n",
		did, size(c.Reclaimed), len(c.Removed), size(c.Remaining), len(c.Kept), busy)
	return err
}

// actionOf keeps what would be done apart from what was done.
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

func tooMuch(opts pinion.PruneOptions, r pinion.PruneReport) string {
	if opts.MaxSize == 0 || r.Remaining <= opts.MaxSize {
		return ""
	}
	return ", which is more than " + size(opts.MaxSize)
}

func size(bytes int64) string { return units.HumanSizeWithPrecision(float64(bytes), 3) }
