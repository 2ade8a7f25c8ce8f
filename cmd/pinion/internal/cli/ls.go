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

const lsLong = `List the images that Pinion built and that are in the image store, newest first.

An image whose name was removed, or given to another image, is left out.`

const lsExample = `  pinion ls
  pinion ls --no-trunc
  pinion ls --format json`

// lister knows what was built.
type lister interface {
	List(ctx context.Context) ([]pinion.Built, error)
}

type lsFlags struct {
	format  string
	noTrunc bool
	quiet   bool
}

func (a *app) lsCommand() *cobra.Command {
	f := &lsFlags{}
	cmd := &cobra.Command{
		Use:     "ls [flags]",
		Aliases: []string{"list"},
		Short:   "List the images that Pinion built",
		Long:    lsLong,
		Example: lsExample,
		Args:    positional(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.ls(cmd.Context(), f) },
	}
	formatFlag(cmd.Flags(), &f.format, formatTable)
	cmd.Flags().BoolVar(&f.noTrunc, "no-trunc", false, "show commits and image IDs in full")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print image IDs alone")
	completeChoices(cmd, "format", formatTable, formatJSON)
	return cmd
}

func (a *app) ls(ctx context.Context, f *lsFlags) error {
	if err := oneOf("format", f.format, formatTable, formatJSON); err != nil {
		return err
	}
	if f.quiet && f.format == formatJSON {
		return usage("--quiet prints image IDs and --format json objects; give one of them")
	}
	s, err := a.open(display{})
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
		case f.format == formatJSON:
			if err := writeJSON(w, struct {
				Schema int `json:"schema"`
				pinion.Built
			}{schemaVersion, b}); err != nil {
				return err
			}
		case f.quiet:
			if _, err := fmt.Fprintln(w, a.clean(f.id(b))); err != nil {
				return err
			}
		default:
			rows = append(rows, []string{
				a.clean(b.Name), a.clean(f.sha(b)), a.clean(f.id(b)),
				size(b.Size),
				units.HumanDuration(a.program.Now().Sub(b.BuiltAt)) + " ago",
			})
		}
	}
	if f.format == formatJSON || f.quiet {
		return nil
	}
	return writeTable(w, []string{"NAME", "SHA", "IMAGE ID", "SIZE", "AGE"}, rows)
}

// sha is the commit, or what stands in its place in the tag of a working tree's image.
func (f *lsFlags) sha(b pinion.Built) string {
	if b.Tree != "" {
		return "dev-" + f.short(strings.TrimPrefix(b.Tree, "sha256:"))
	}
	return f.short(b.Revision)
}

// id without its algorithm is what docker shows, and takes.
func (f *lsFlags) id(b pinion.Built) string {
	if f.noTrunc {
		return b.ImageID
	}
	return f.short(strings.TrimPrefix(b.ImageID, "sha256:"))
}

func (f *lsFlags) short(s string) string {
	if f.noTrunc {
		return s
	}
	return s[:min(12, len(s))]
}
