package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

func (a *app) buildsShowCommand(at *buildsFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show [flags] ID",
		Short: "Show a build: who asked, how it ended, and its steps",
		Long: `Show a build: who asked for it, why it was no hit, how it ended, and its steps with
their times. The first characters of its ID are enough.`,
		Example: "  pinion builds show 3GZQ\n  pinion builds show 3GZQ --format json",
		Args:    oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.CheckFormat(format, flags.FormatText); err != nil {
				return err
			}
			return a.withBuilds(cmd.Context(), at, func(b builds) error {
				found, err := find(cmd.Context(), b, args[0])
				if err != nil {
					return err
				}
				return a.showBuild(cmd.Context(), b, found, format)
			})
		},
	}
	flags.AddFormat(cmd, &format, flags.FormatText)
	return cmd
}

// shortID is the length of an ID in a table: 40 bits.
const shortID = 8

// tagOf returns the tag of the image's name, which has the commit.
func tagOf(b history.Build) string {
	return b.Reference[strings.LastIndexByte(b.Reference, ':')+1:]
}

// outcome says how a build ended, in a word or two.
func outcome(b history.Build) string {
	switch {
	case b.Saves != "" && b.State == pinion.BuildDone:
		return "cache saved"
	case b.Saves != "" && b.IsRunning():
		return "saving"
	case b.Hits > 1:
		return fmt.Sprintf("hit %d times", b.Hits)
	case b.State == pinion.BuildDone && b.Image != nil:
		return string(b.Image.Outcome)
	case b.Failure != nil:
		return fmt.Sprintf("failed (%s)", b.Failure.Class)
	case b.State == pinion.BuildQueued && b.Position > 0:
		return fmt.Sprintf("queued (%d)", b.Position)
	}
	return string(b.State)
}

// took returns a duration with two or three digits.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// asker says who asked for a build.
func asker(b history.Build) string {
	if b.AskedBy != "" {
		return b.AskedBy
	}
	return "pinion " + b.Command
}

// buildDetails is the JSON form of one build.
type buildDetails struct {
	Schema int `json:"schema"`
	history.Build
	Steps []history.Step `json:"steps,omitempty"`
}

// showBuild prints one build with its steps.
func (a *app) showBuild(ctx context.Context, from builds, b history.Build, format string) error {
	var events []pinion.Event
	for e, err := range from.Events(ctx, b.ID, false) {
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	d := buildDetails{schema.Version, b, history.Steps(events)}
	if format == flags.FormatJSON {
		return output.JSON(a.program.Stdout, d)
	}
	fields := [][2]string{
		{"ID", b.ID}, {"Name", b.Name}, {"Reference", b.Reference}, {"Outcome", outcome(b)},
		{"Asked by", asker(b)}, {"Began", b.Started.Local().Format(time.DateTime)},
		{"Took", took(b.Took(a.program.Now()))},
	}
	if !b.Revision.IsZero() {
		fields = append(fields, [2]string{"Commit", b.Revision.String()})
	}
	if b.Saves != "" {
		fields = append(fields, [2]string{"Saves cache of", b.Saves})
	}
	if b.PullRequest != 0 {
		fields = append(fields, [2]string{"Pull request", strconv.Itoa(b.PullRequest)})
	}
	for _, f := range [][2]string{{"No hit", b.Reason}, {"Builder", builderOf(b)},
		{"Superseded", superseded(b)}} {
		if f[1] != "" {
			fields = append(fields, f)
		}
	}
	if b.Image != nil {
		fields = append(fields, [2]string{"Image", b.Image.ID})
		for _, w := range b.Image.Warnings {
			fields = append(fields, [2]string{"Warning", w})
		}
	}
	if b.Failure != nil {
		fields = append(fields, [2]string{"Error", b.Failure.Message})
	}
	if err := a.printFields(a.program.Stdout, 15, fields); err != nil || len(d.Steps) == 0 {
		return err
	}
	return a.printSteps(d.Steps)
}

func builderOf(b history.Build) string {
	if b.Builder == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", b.Builder.Kind, b.Builder.Endpoint,
		b.Builder.Version))
}

func superseded(b history.Build) string {
	if b.SupersededBy.IsZero() {
		return ""
	}
	return "the branch has moved to " + b.SupersededBy.Short()
}

func (a *app) printSteps(steps []history.Step) error {
	var rows [][]string
	for _, s := range steps {
		time := ""
		if !s.Started.IsZero() && !s.Ended.IsZero() {
			time = took(s.Ended.Sub(s.Started))
		}
		rows = append(rows, []string{strconv.Itoa(s.Number), a.clean(string(s.State)), time,
			a.clean(s.Name)})
	}
	if _, err := fmt.Fprintln(a.program.Stdout); err != nil {
		return err
	}
	return output.Table(a.program.Stdout, []string{"STEP", "STATE", "TOOK", "NAME"}, rows)
}
