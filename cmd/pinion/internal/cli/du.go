package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
)

const duLong = `Show what the images take that Pinion built, and what "pinion prune" would remove of it by default, and what saved
build caches take.

Sizes are those of whole images: layers that several images share count with each of them.`

const duExample = `  pinion du
  pinion du --format json`

// measurer knows what the images take.
type measurer interface {
	DiskUsage(ctx context.Context) (pinion.DiskUsage, error)
}

func (a *app) duCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "du [flags]",
		Short:   "Show what the images take that Pinion built",
		Long:    duLong,
		Example: duExample,
		Args:    positional(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.du(cmd.Context(), format) },
	}
	formatFlag(cmd.Flags(), &format, formatTable)
	completeChoices(cmd, "format", formatTable, formatJSON)
	return cmd
}

func (a *app) du(ctx context.Context, format string) error {
	if err := oneOf("format", format, formatTable, formatJSON); err != nil {
		return err
	}
	s, err := a.open(display{})
	if err != nil {
		return err
	}
	u, err := s.DiskUsage(ctx)
	if err != nil {
		return err
	}
	if format == formatJSON {
		return writeJSON(a.program.Stdout, struct {
			Schema int `json:"schema"`
			pinion.DiskUsage
		}{schemaVersion, u})
	}
	return a.printUsage(a.program.Stdout, u)
}

func (a *app) printUsage(w io.Writer, u pinion.DiskUsage) error {
	var rows [][]string
	for _, t := range u.Templates {
		name := t.Name
		if t.Trees {
			name += " (working trees)"
		}
		rows = append(rows, []string{
			a.clean(name), a.clean(t.Platform), strconv.Itoa(t.Images), strconv.Itoa(t.InUse),
			size(t.Size), size(t.Reclaimable),
		})
	}
	if err := writeTable(w, []string{"NAME", "PLATFORM", "IMAGES", "IN USE", "SIZE", "RECLAIMABLE"},
		rows); err != nil {
		return err
	}
	unverified := ""
	if u.Unverified > 0 {
		unverified = fmt.Sprintf(" (with %d left over from builds that did not finish)",
			u.Unverified)
	}
	if _, err := fmt.Fprintf(w, "\nTotal: %s, reclaimable: %s%s\n", size(u.Size),
		size(u.Reclaimable), unverified); err != nil || u.BuildCache == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "Saved build caches: %s\n", size(u.BuildCache))
	return err
}
