package cli

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

const resolveLong = `Show the mode, repository, branch, current commit and image reference of a
template.

Nothing is built. Only the git server is asked, and in registry mode no server at all.`

const resolveExample = `  pinion resolve claude-code
  pinion resolve claude-code --format json`

func (a *app) resolveCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:               "resolve [flags] NAME",
		Short:             "Show a template's repository and current commit",
		Long:              resolveLong,
		Example:           resolveExample,
		Args:              flags.OneName,
		ValidArgsFunction: a.completeNames(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.resolve(cmd.Context(), args[0], format)
		},
	}
	flags.AddFormat(cmd, &format, flags.FormatText)
	return cmd
}

func (a *app) resolve(ctx context.Context, name, format string) error {
	if err := flags.CheckFormat(format, flags.FormatText); err != nil {
		return err
	}
	s, err := a.open(flags.Display{})
	if err != nil {
		return err
	}
	r, err := s.Resolve(ctx, name)
	if err != nil {
		return err
	}
	return a.printResolution(a.program.Stdout, format, r)
}

func (a *app) printResolution(w io.Writer, format string, r pinion.Resolution) error {
	if format == flags.FormatJSON {
		return output.JSON(w, struct {
			Schema int `json:"schema"`
			pinion.Resolution
		}{schema.Version, r})
	}
	revision := ""
	if !r.Revision.IsZero() {
		revision = r.Revision.String()
	}
	fields := [][2]string{
		{"Name", r.Name}, {"Mode", string(r.Mode)}, {"Repository", r.Repository},
		{"Ref", r.Ref}, {"Revision", revision}, {"Reference", r.Reference},
	}
	return a.printFields(w, 12, slices.DeleteFunc(fields, func(f [2]string) bool {
		return f[1] == ""
	}))
}

// printFields prints pairs of names and values, cleaned, with the values in the given column.
func (a *app) printFields(w io.Writer, column int, fields [][2]string) error {
	for i := range fields {
		fields[i][1] = a.clean(fields[i][1])
	}
	return output.Fields(w, column, fields)
}
