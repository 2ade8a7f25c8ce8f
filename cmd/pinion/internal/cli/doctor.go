package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/forge"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

const doctorLong = `Check everything that a build needs, without any changes: mode, credential, git
server, engine and image store, the builder, its version, the reason for its choice and its cache,
platform, cache folder and free space. If the managed BuildKit is the builder, it is started if it
is not running. Each template that is named is looked up too, with the credential of its git server;
and if its forge gets commit statuses, their token is tried with a commit that does not exist.

The exit code is 0 if no check fails, and otherwise that of the first failed check (see pinion help
exit-codes). Warnings do not change it.`

const doctorExample = `  pinion doctor
  pinion doctor --addr tcp://builder:1234 --tlsdir ~/.buildkit
  pinion doctor --builder managed
  pinion doctor claude-code --format json`

func (a *app) doctorCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:               "doctor [flags] [NAME...]",
		Short:             "Check everything that a build needs",
		Long:              doctorLong,
		Example:           doctorExample,
		ValidArgsFunction: a.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.doctor(cmd.Context(), names, format)
		},
	}
	flags.AddFormat(cmd, &format, flags.FormatText)
	return cmd
}

func (a *app) doctor(ctx context.Context, names []string, format string) error {
	if err := flags.CheckFormat(format, flags.FormatText); err != nil {
		return err
	}
	s, err := a.open(flags.Display{})
	if err != nil {
		return err
	}
	checks := s.Doctor(ctx)
	for _, name := range names {
		checks = append(checks, checkTemplate(ctx, s, name))
		if f, ok := s.Forge(name); ok {
			checks = append(checks, checkStatuses(ctx, f, name))
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := a.printChecks(ctx, a.program.Stdout, format, checks); err != nil {
		return err
	}
	if code := checksCode(ctx, checks); code != exitcode.OK {
		return &printedError{code}
	}
	return nil
}

// checkTemplate asks for the head of a template, with its own credential.
func checkTemplate(ctx context.Context, s *session, name string) pinion.Check {
	c := pinion.Check{Name: "template " + name, Status: pinion.StatusOK}
	r, err := s.Resolve(ctx, name)
	switch {
	case err != nil:
		c.Status, c.Detail, c.Err = pinion.StatusFail, err.Error(), err
	case r.Repository == "":
		c.Detail = r.Reference
	default:
		c.Detail = fmt.Sprintf("%s: %s is at %s", r.Repository, cmp.Or(r.Ref, "it"),
			r.Revision.Short())
	}
	return c
}

// checkStatuses asks the forge of a template whether it takes commit statuses. No image depends on
// that.
func checkStatuses(ctx context.Context, f pinion.Forge, name string) pinion.Check {
	c := pinion.Check{Name: "statuses " + name, Status: pinion.StatusOK}
	if err := forge.Check(ctx, f); err != nil {
		c.Status, c.Detail, c.Err = pinion.StatusWarn, err.Error(), err
	} else {
		c.Detail = fmt.Sprintf("%s at %s takes commit statuses", f.Kind, f.Remote.Host())
	}
	return c
}

func (a *app) printChecks(
	ctx context.Context, w io.Writer, format string, checks []pinion.Check,
) error {
	for i, c := range checks {
		checks[i].Detail = a.clean(withAdvice(c))
	}
	if format == flags.FormatJSON {
		return output.JSON(w, struct {
			Schema int            `json:"schema"`
			OK     bool           `json:"ok"`
			Checks []pinion.Check `json:"checks"`
		}{schema.Version, checksCode(ctx, checks) == exitcode.OK, checks})
	}
	rows := make([][]string, len(checks))
	for i, c := range checks {
		rows[i] = []string{string(c.Status), c.Name, c.Detail}
	}
	return output.Table(w, []string{"STATUS", "CHECK", "DETAIL"}, rows)
}

// withAdvice returns a check's detail and what to do about a failure.
func withAdvice(c pinion.Check) string {
	if next := situationAdvice(c.Err); next != "" {
		return c.Detail + ": " + next
	}
	return c.Detail
}

// checksCode returns the exit code for the first failed check.
func checksCode(ctx context.Context, checks []pinion.Check) int {
	for _, c := range checks {
		if c.Status == pinion.StatusFail {
			return cmp.Or(exitCode(ctx, c.Err), exitcode.General)
		}
	}
	return exitcode.OK
}
