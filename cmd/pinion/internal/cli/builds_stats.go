package cli

import (
	"fmt"
	"strconv"
	"time"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

func (a *app) buildsStatsCommand(at *buildsFlags) *cobra.Command {
	var format string
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "stats [flags] [NAME...]",
		Short: "Show how many builds failed, how many hits there were, and how long builds took",
		Example: `  pinion builds stats
  pinion builds stats claude-code --since 168h --format json`,
		ValidArgsFunction: a.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := flags.CheckFormat(format, flags.FormatTable); err != nil {
				return err
			}
			if since < 0 {
				return flags.Errorf("--since cannot be negative")
			}
			q := history.Filter{Names: names}
			if since > 0 {
				q.Since = a.program.Now().Add(-since)
			}
			return a.withBuilds(cmd.Context(), at, func(b builds) error {
				list, err := b.List(cmd.Context(), q)
				if err != nil {
					return err
				}
				return a.printStats(format, history.Sum(list))
			})
		},
	}
	cmd.Flags().DurationVar(&since, "since", 0,
		"count what began within this `duration`; 0 means all")
	flags.AddFormat(cmd, &format, flags.FormatTable)
	return cmd
}

func (a *app) printStats(format string, stats []history.Stat) error {
	var rows [][]string
	for _, s := range stats {
		if format == flags.FormatJSON {
			if err := output.JSON(a.program.Stdout, struct {
				Schema int `json:"schema"`
				history.Stat
			}{schema.Version, s}); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{a.clean(s.Name), strconv.Itoa(s.Builds),
			strconv.Itoa(s.Failed), strconv.Itoa(s.Hits), fmt.Sprintf("%.0f%%", 100*s.HitRate()),
			took(time.Duration(s.Median) * time.Millisecond),
			took(time.Duration(s.P90) * time.Millisecond),
			units.HumanDuration(a.program.Now().Sub(s.Last)) + " ago"})
	}
	if format == flags.FormatJSON {
		return nil
	}
	return output.Table(a.program.Stdout, []string{"NAME", "BUILDS", "FAILED", "HITS", "HIT RATE",
		"MEDIAN", "P90", "LAST"}, rows)
}
