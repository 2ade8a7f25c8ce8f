package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

const lsLong = `List the images that Pinion built and that are in the image store, newest first.

Images whose name was removed, or was given to another image, are not listed.`

const lsExample = `  pinion ls
  pinion ls --no-trunc
  pinion ls --format json`

type lsFlags struct {
	format string
	quiet  bool
	ids    idColumns
}

func (a *app) lsCommand() *cobra.Command {
	f := &lsFlags{}
	cmd := &cobra.Command{
		Use:     "ls [flags]",
		Aliases: []string{"list"},
		Short:   "List images that Pinion built",
		Long:    lsLong,
		Example: lsExample,
		Args:    flags.Positional(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.ls(cmd.Context(), f) },
	}
	flags.AddFormat(cmd, &f.format, flags.FormatTable)
	f.ids.register(cmd)
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only image IDs")
	return cmd
}

func (a *app) ls(ctx context.Context, f *lsFlags) error {
	if err := flags.CheckFormat(f.format, flags.FormatTable); err != nil {
		return err
	}
	if f.quiet && f.format == flags.FormatJSON {
		return flags.Errorf("--quiet prints image IDs and --format json objects; use one of them")
	}
	s, err := a.open(flags.Display{})
	if err != nil {
		return err
	}
	built, err := s.List(ctx)
	if err != nil {
		return err
	}
	return a.printBuilt(a.program.Stdout, f, built)
}

func (a *app) printBuilt(w io.Writer, f *lsFlags, built []pinion.Built) error {
	var rows [][]string
	for _, b := range built {
		switch {
		case f.format == flags.FormatJSON:
			if err := output.JSON(w, struct {
				Schema int `json:"schema"`
				pinion.Built
			}{schema.Version, b}); err != nil {
				return err
			}
		case f.quiet:
			if _, err := fmt.Fprintln(w, a.clean(f.ids.image(b))); err != nil {
				return err
			}
		default:
			rows = append(rows, []string{
				a.clean(b.Name), a.clean(f.ids.sha(b)), a.clean(f.ids.image(b)),
				output.Size(b.Size),
				units.HumanDuration(a.program.Now().Sub(b.BuiltAt)) + " ago",
			})
		}
	}
	if f.format == flags.FormatJSON || f.quiet {
		return nil
	}
	return output.Table(w, []string{"NAME", "SHA", "IMAGE ID", "SIZE", "AGE"}, rows)
}

// idColumns formats the commit and the image ID for a table.
type idColumns struct{ full bool }

func (c *idColumns) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.full, "no-trunc", false, "print commits and image IDs in full")
}

// sha returns the commit, with the number of its pull request if it is of one, or its counterpart
// in the tag of a working tree's image.
func (c idColumns) sha(b pinion.Built) string {
	if b.PullRequest != 0 {
		return fmt.Sprintf("pr-%d-%s", b.PullRequest, c.short(b.Revision))
	}
	if b.Tree != "" {
		return "dev-" + c.short(strings.TrimPrefix(b.Tree, "sha256:"))
	}
	return c.short(b.Revision)
}

// image returns the image ID; a short one has no algorithm, as in docker's tables.
func (c idColumns) image(b pinion.Built) string {
	if c.full {
		return b.ImageID
	}
	return c.short(strings.TrimPrefix(b.ImageID, "sha256:"))
}

func (c idColumns) short(s string) string {
	if c.full {
		return s
	}
	return s[:min(12, len(s))]
}
