package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/buildversion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

// buildVersion describes this binary.
type buildVersion struct {
	Schema   int    `json:"schema"`
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version [flags]",
		Short:   "Show the version",
		Example: "  pinion version\n  pinion version --format json",
		Args:    flags.Positional(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if err := flags.CheckFormat(format, flags.FormatText); err != nil {
				return err
			}
			return versionOf(a.program.Version).print(a.program.Stdout, format)
		},
	}
	flags.AddFormat(cmd, &format, flags.FormatText)
	return cmd
}

// versionOf returns the linker's version, or that of the build info if it is empty.
func versionOf(linked string) buildVersion {
	v := buildVersion{
		Schema: schema.Version, Version: buildversion.Of(linked),
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return v
}

func (v buildVersion) print(w io.Writer, format string) error {
	if format == flags.FormatJSON {
		return output.JSON(w, v)
	}
	commit := ""
	if v.Revision != "" {
		commit = "commit " + v.Revision[:min(12, len(v.Revision))] + ", "
	}
	_, err := fmt.Fprintf(w, "pinion %s (%s%s, %s)\n", v.Version, commit, v.Go, v.Platform)
	return err
}
