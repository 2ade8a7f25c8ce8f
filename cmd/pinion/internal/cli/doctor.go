package cli

import (
	"cmp"
	"context"
	"io"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

const doctorLong = `Check everything that a build needs, and change nothing: mode, credential, git server, engine and image store,
builder and its version, why it is that one, platform, cache folder and disk. If the managed BuildKit is the one, it
is started if it does not run.

The exit code is 0 unless a check fails; then it is that of the first one which did (see pinion help exit-codes).
A warning fails nothing.`

const doctorExample = `  pinion doctor
  pinion doctor --addr tcp://builder:1234 --tlsdir ~/.buildkit
  pinion doctor --builder managed
  pinion doctor --format json`

// examiner checks the surroundings.
type examiner interface {
	Doctor(ctx context.Context) []pinion.Check
}

func (a *app) doctorCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "doctor [flags]",
		Short:   "Check what a build needs",
		Long:    doctorLong,
		Example: doctorExample,
		Args:    positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.doctor(cmd.Context(), format)
		},
	}
	formatFlag(cmd.Flags(), &format, formatText)
	completeChoices(cmd, "format", formatText, formatJSON)
	return cmd
}

func (a *app) doctor(ctx context.Context, format string) error {
	if err := oneOf("format", format, formatText, formatJSON); err != nil {
		return err
	}
	s, err := a.open(display{})
	if err != nil {
		return err
	}
	checks := s.Doctor(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.printChecks(ctx, a.program.Stdout, format, checks); err != nil {
		return err
	}
	if code := checksCode(ctx, checks); code != exitcode.OK {
		return &toldError{code}
	}
	return nil
}

func (a *app) printChecks(ctx context.Context, w io.Writer, format string,
	checks []pinion.Check) error {
	for i := range checks {
		checks[i].Detail = a.clean(checks[i].Detail)
	}
	if format == formatJSON {
		return writeJSON(w, struct {
			Schema int            `json:"schema"`
			OK     bool           `json:"ok"`
			Checks []pinion.Check `json:"checks"`
		}{schemaVersion, checksCode(ctx, checks) == exitcode.OK, checks})
	}
	rows := make([][]string, len(checks))
	for i, c := range checks {
		rows[i] = []string{string(c.Status), c.Name, c.Detail}
	}
	return writeTable(w, []string{"STATUS", "CHECK", "DETAIL"}, rows)
}

// checksCode is the exit code for the first check that failed.
func checksCode(ctx context.Context, checks []pinion.Check) int {
	for _, c := range checks {
		if c.Status == pinion.StatusFail {
			return cmp.Or(exitCode(ctx, c.Err), exitcode.General)
		}
	}
	return exitcode.OK
}
