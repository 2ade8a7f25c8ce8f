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
)

// failure is the JSON form of an error.
type failure struct {
	Schema int           `json:"schema"`
	Name   string        `json:"name,omitempty"`
	Error  string        `json:"error"`
	Origin pinion.Origin `json:"origin,omitempty"`
	Code   int           `json:"exit_code"`
}

// tell prints an error: a line for people with what to do next, or one object. The name is the
// template's where the error does not say it.
func (a *app) tell(ctx context.Context, w io.Writer, asJSON bool, name string, err error) {
	f := a.failure(ctx, name, err)
	if asJSON {
		_ = writeJSON(w, f)
		return
	}
	text := "pinion: error: " + a.clean(err.Error())
	if f.Code == exitcode.Cancelled {
		text = "pinion: error: " + f.Error
	}
	if next := nextStep(f.Code, err); next != "" {
		text += "\npinion: " + next
	}
	// Where stderr is gone there is nobody to tell.
	_, _ = fmt.Fprintln(w, text)
}

func (a *app) failure(ctx context.Context, name string, err error) failure {
	f := failure{Schema: schemaVersion, Name: name, Code: exitCode(ctx, err)}
	cause := err
	if at, ok := errors.AsType[*pinion.Error](err); ok {
		f.Name, f.Origin, cause = at.Name, at.Origin, at.Err
	}
	f.Error = a.clean(cause.Error())
	if f.Code == exitcode.Cancelled {
		f.Error = "cancelled"
	}
	return f
}

// nextStep is the advice that depends on the kind of failure only. What depends on more is in the
// error.
func nextStep(code int, err error) string {
	if next := adviceFor(err); next != "" {
		return next
	}
	switch code {
	case exitcode.Usage:
		// Else it is a setting that is wrong, and its error says which.
		if wrong, ok := errors.AsType[*usageError](err); ok {
			return fmt.Sprintf("run `%s --help` to see how it is called", wrong.path)
		}
	case exitcode.Unreachable, exitcode.NoBuilder, exitcode.Store:
		return "run `pinion doctor` to see what works and what does not"
	case exitcode.Verification:
		return "ask again, and with --no-cache if it stays so"
	case exitcode.Lock:
		return "another pinion builds the same image; ask again when it is done"
	case exitcode.Build:
		return "the template's own Dockerfile failed or was refused; --progress plain shows all " +
			"of its output"
	}
	return ""
}

// jsonWanted looks at a command's --format, as far as it got parsed.
func jsonWanted(cmd *cobra.Command) bool {
	f := cmd.Flags().Lookup("format")
	return f != nil && strings.EqualFold(f.Value.String(), formatJSON)
}
