package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
)

// failure is the JSON form of an error.
type failure struct {
	Schema int                 `json:"schema"`
	Name   string              `json:"name,omitempty"`
	Error  string              `json:"error"`
	Origin pinion.Origin       `json:"origin,omitempty"`
	Code   int                 `json:"exit_code"`
	Log    []string            `json:"log,omitempty"`
	Checks []pinion.BuildCheck `json:"checks,omitempty"`
	// Pushed are the names that were pushed before the error.
	Pushed []pinion.Pushed `json:"pushed,omitempty"`
}

// printError prints an error, either as a line with advice below it or as one object. The name is
// the template's, for errors that do not contain it.
func (a *app) printError(ctx context.Context, w io.Writer, asJSON bool, name string, err error) {
	f := a.failure(ctx, name, err)
	if asJSON {
		_ = output.JSON(w, f)
		return
	}
	text := a.checkLines(err) + "pinion: error: " + a.errorText(err)
	if f.Code == exitcode.Cancelled {
		text = "pinion: error: " + f.Error
		for _, p := range f.Pushed {
			text += "; pushed " + p.Reference + "@" + p.Digest
		}
	}
	if a.hidesSteps {
		for _, line := range f.Log {
			text += "\n  | " + line
		}
	}
	if next := adviceFor(f.Code, err); next != "" {
		text += "\npinion: " + a.clean(next)
	}
	// A failure to write to stderr cannot be reported anywhere.
	_, _ = fmt.Fprintln(w, text)
}

// errorText returns the text of an error, redacted before it is cut: a part of a credential would
// not be found.
func (a *app) errorText(err error) string { return errtext.ShortText(a.clean(err.Error())) }

// checkLines returns a line for each warning of a failed build.
func (a *app) checkLines(err error) (lines string) {
	if at, ok := errors.AsType[*pinion.Error](err); ok {
		for _, w := range at.Warnings() {
			lines += "pinion: warning: " + a.clean(at.Name+": "+w) + "\n"
		}
	}
	return lines
}

func (a *app) failure(ctx context.Context, name string, err error) failure {
	f := failure{Schema: schema.Version, Name: name, Code: exitCode(ctx, err)}
	cause := err
	if at, ok := errors.AsType[*pinion.Error](err); ok {
		f.Name, f.Origin, cause = at.Name, at.Origin, at.Err
		for _, c := range at.Checks {
			f.Checks = append(f.Checks, c.Clean(a.clean))
		}
	}
	if at, ok := errors.AsType[*pinion.PushError](err); ok {
		f.Pushed = at.Pushed
	}
	f.Error = a.errorText(cause)
	if step, ok := errors.AsType[*pinion.StepError](err); ok {
		for _, line := range step.Log {
			f.Log = append(f.Log, a.clean(line))
		}
	}
	if f.Code == exitcode.Cancelled {
		f.Error = "cancelled"
	}
	return f
}

// jsonRequested reports whether a command's --format asks for JSON, as far as it was parsed.
func jsonRequested(cmd *cobra.Command) bool {
	f := cmd.Flags().Lookup("format")
	return f != nil && strings.EqualFold(f.Value.String(), flags.FormatJSON)
}
