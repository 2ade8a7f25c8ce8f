package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

// buildsLsFlags choose what is listed, and how.
type buildsLsFlags struct {
	kinds  []string
	since  time.Duration
	limit  int
	all    bool
	full   bool
	quiet  bool
	format string
}

func (a *app) buildsLsCommand(at *buildsFlags) *cobra.Command {
	f := &buildsLsFlags{}
	cmd := &cobra.Command{
		Use:     "ls [flags] [NAME...]",
		Aliases: []string{"list"},
		Short:   "List builds, newest first",
		Long: `List builds, newest first, of all templates or of those named. Hits are listed with
--all; hits of one image by one caller within an hour are one line. The saving of a build's cache
has a line of its own.`,
		Example: `  pinion builds ls
  pinion builds ls claude-code hermes --kind failed
  pinion builds ls --all --since 24h --format json`,
		ValidArgsFunction: a.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.buildsLs(cmd.Context(), at, f, names)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVarP(&f.all, "all", "a", false, "list hits too")
	fs.StringSliceVar(&f.kinds, "kind", nil, "`kinds` to list: "+history.KindList())
	fs.DurationVar(&f.since, "since", 0, "list what began within this `duration`; 0 means all")
	fs.IntVarP(&f.limit, "limit", "n", 50, "list at most this `number`; 0 means all")
	fs.BoolVar(&f.full, "no-trunc", false, "print IDs in full")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "print only IDs")
	flags.AddFormat(cmd, &f.format, flags.FormatTable)
	flags.CompleteChoices(cmd, "kind", history.Kinds...)
	return cmd
}

// filter checks the flags.
func (f *buildsLsFlags) filter(now time.Time, names []string) (history.Filter, error) {
	q := history.Filter{Names: names, Kinds: f.kinds, Limit: f.limit}
	if err := flags.CheckFormat(f.format, flags.FormatTable); err != nil {
		return q, err
	}
	for _, kind := range f.kinds {
		if err := flags.OneOf("kind", kind, history.Kinds...); err != nil {
			return q, err
		}
	}
	switch {
	case f.since < 0 || f.limit < 0:
		return q, flags.Errorf("--since and --limit cannot be negative")
	case f.all && len(f.kinds) > 0:
		return q, flags.Errorf("--all lists all kinds; use it or --kind")
	case f.quiet && f.format == flags.FormatJSON:
		return q, flags.Errorf("--quiet prints IDs and --format json objects; use one of them")
	case !f.all && len(f.kinds) == 0:
		q.Kinds = slices.DeleteFunc(slices.Clone(history.Kinds), func(kind string) bool {
			return kind == history.KindHit
		})
	}
	if f.since > 0 {
		q.Since = now.Add(-f.since)
	}
	return q, nil
}

func (a *app) buildsLs(
	ctx context.Context, at *buildsFlags, f *buildsLsFlags, names []string,
) error {
	q, err := f.filter(a.program.Now(), names)
	if err != nil {
		return err
	}
	return a.withBuilds(ctx, at, func(b builds) error {
		list, err := b.List(ctx, q)
		if err != nil {
			return err
		}
		return a.printBuilds(f, list)
	})
}

// printBuilds prints a list of builds.
func (a *app) printBuilds(f *buildsLsFlags, list []history.Build) error {
	w := a.program.Stdout
	var rows [][]string
	for _, b := range list {
		switch {
		case f.format == flags.FormatJSON:
			if err := output.JSON(w, struct {
				Schema int `json:"schema"`
				history.Build
			}{schema.Version, b}); err != nil {
				return err
			}
		case f.quiet:
			if _, err := fmt.Fprintln(w, a.clean(b.ID)); err != nil {
				return err
			}
		default:
			id := b.ID
			if !f.full {
				id = id[:min(len(id), shortID)]
			}
			now := a.program.Now()
			rows = append(rows, []string{a.clean(id), a.clean(b.Name), a.clean(tagOf(b)),
				a.clean(outcome(b)),
				took(b.Took(now)), units.HumanDuration(now.Sub(b.Started)) + " ago",
				a.clean(asker(b))})
		}
	}
	if f.format == flags.FormatJSON || f.quiet {
		return nil
	}
	return output.Table(w, []string{"ID", "NAME", "TAG", "OUTCOME", "TOOK", "BEGAN", "ASKED BY"},
		rows)
}
