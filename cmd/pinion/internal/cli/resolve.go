package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
)

const resolveLong = `Show what a template's name stands for at the moment: mode, repository, branch, commit and reference.

The git server is asked, and nobody else; nothing is built. In registry mode nobody is asked.`

const resolveExample = `  pinion resolve claude-code
  pinion resolve claude-code --format json`

// resolver tells what names stand for.
type resolver interface {
	Resolve(ctx context.Context, name string) (pinion.Resolution, error)
}

func (a *app) resolveCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:               "resolve [flags] NAME",
		Short:             "Show a template's repository and current commit",
		Long:              resolveLong,
		Example:           resolveExample,
		Args:              oneName,
		ValidArgsFunction: a.completeNames(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("format", format, formatText, formatJSON); err != nil {
				return err
			}
			s, err := a.open(display{})
			if err != nil {
				return err
			}
			r, err := s.Resolve(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printResolution(a.program.Stdout, format, r)
		},
	}
	formatFlag(cmd.Flags(), &format, formatText)
	completeChoices(cmd, "format", formatText, formatJSON)
	return cmd
}

func (a *app) printResolution(w io.Writer, format string, r pinion.Resolution) error {
	if format == formatJSON {
		return writeJSON(w, struct {
			Schema int `json:"schema"`
			pinion.Resolution
		}{schemaVersion, r})
	}
	revision := ""
	if !r.Revision.IsZero() {
		revision = r.Revision.String()
	}
	for _, line := range [][2]string{
		{"Name", r.Name}, {"Mode", string(r.Mode)}, {"Repository", r.Repository},
		{"Ref", r.Ref}, {"Revision", revision}, {"Reference", r.Reference},
	} {
		if line[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-12s%s\n", line[0]+":", a.clean(line[1])); err != nil {
			return err
		}
	}
	return nil
}
