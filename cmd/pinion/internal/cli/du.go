package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

const duLong = `Show the space used by images that Pinion built and by saved build caches, and how
much of it "pinion prune" would free by default.

A layer that several images of a folder (--store oci:DIR) share counts once in each sum. An engine
does not tell what images share, so that counts for each of them.`

const duExample = `  pinion du
  pinion du --format json`

func (a *app) duCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "du [flags]",
		Short:   "Show the space used by images that Pinion built",
		Long:    duLong,
		Example: duExample,
		Args:    flags.Positional(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.du(cmd.Context(), format) },
	}
	flags.AddFormat(cmd, &format, flags.FormatTable)
	return cmd
}

func (a *app) du(ctx context.Context, format string) error {
	if err := flags.CheckFormat(format, flags.FormatTable); err != nil {
		return err
	}
	s, err := a.open(flags.Display{})
	if err != nil {
		return err
	}
	u, err := s.DiskUsage(ctx)
	if err != nil {
		return err
	}
	if format == flags.FormatJSON {
		return output.JSON(a.program.Stdout, struct {
			Schema int `json:"schema"`
			pinion.DiskUsage
		}{schema.Version, u})
	}
	return a.printDiskUsage(a.program.Stdout, u)
}

func (a *app) printDiskUsage(w io.Writer, u pinion.DiskUsage) error {
	var rows [][]string
	for _, t := range u.Templates {
		name := t.Name
		if t.Trees {
			name += " (working trees)"
		}
		if t.PullRequest != 0 {
			name += fmt.Sprintf(" (pull request %d)", t.PullRequest)
		}
		rows = append(rows, []string{
			a.clean(name), a.clean(t.Platform), strconv.Itoa(t.Images), strconv.Itoa(t.InUse),
			output.Size(t.Size), output.Size(t.Reclaimable),
		})
	}
	if err := output.Table(w,
		[]string{"NAME", "PLATFORM", "IMAGES", "IN USE", "SIZE", "RECLAIMABLE"},
		rows); err != nil {
		return err
	}
	unverified := ""
	if u.Unverified > 0 {
		unverified = fmt.Sprintf(
			" (with %d left over from builds that did not finish)", u.Unverified)
	}
	if _, err := fmt.Fprintf(w, "\nTotal: %s, reclaimable: %s%s\n", output.Size(u.Size),
		output.Size(u.Reclaimable), unverified); err != nil || u.BuildCache == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "Saved build caches: %s\n", output.Size(u.BuildCache))
	return err
}
