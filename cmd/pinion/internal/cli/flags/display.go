package flags

import (
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/terminal"
)

// RegisterProgress adds --progress.
func (f *Ensure) RegisterProgress(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.progress, "progress", "",
		"progress `mode`: auto, plain, tty, quiet or rawjson (BUILDKIT_PROGRESS, default auto)")
	var modes []string
	for _, m := range terminal.Modes() {
		modes = append(modes, string(m))
	}
	CompleteChoices(cmd, "progress", modes...)
}

// Display describes what a verb shows on stderr besides errors. The zero value shows only log
// lines.
type Display struct {
	Mode   terminal.Mode
	Names  bool // lines start with the template's name
	Silent bool // no log lines of the library
}

// Display returns what stderr shows for a number of templates. --progress takes precedence over
// BUILDKIT_PROGRESS, and so does --quiet.
func (f *Ensure) Display(env Environment, names int) (Display, error) {
	if err := CheckFormat(f.Format, FormatText); err != nil {
		return Display{}, err
	}
	value, source := env.progress, envProgress
	if f.progressSet {
		value, source = f.progress, "--progress"
	}
	if f.Quiet && !f.progressSet {
		value = string(terminal.Quiet)
	}
	mode, err := terminal.ParseMode(value)
	switch {
	case err != nil:
		return Display{}, Errorf("%s: %w", source, err)
	case f.Quiet && f.JSON():
		return Display{},
			Errorf("--quiet prints image IDs and --format json objects; use one of them")
	case f.Quiet && mode != terminal.Quiet:
		return Display{}, Errorf("--quiet shows no progress and excludes --progress %s", mode)
	}
	return Display{Mode: mode, Names: names > 1, Silent: f.Quiet}, nil
}
