package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

const configCheckLong = `Check the config file, or FILE in its place, without any network access.

Each entry is listed with its place and with what it stands for, or with what is wrong and what to
write. The exit code is 64 if an entry is wrong, or if the file cannot be read as YAML. Other
commands go on with the entries that are right.`

const configSchemaLong = `Print a JSON schema of the config file, with which editors complete and
check it. Most find it by a comment in the first line of the file:

  # yaml-language-server: $schema=pinion.schema.json`

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Check the config file",
		Long:    "Check the config file, which has further templates and credentials.",
		Example: "  pinion config check\n  pinion config schema > pinion.schema.json",
		Args:    flags.NoCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.configCheckCommand(), a.configSchemaCommand())
	return cmd
}

func (a *app) configCheckCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "check [flags] [FILE]",
		Short:   "Say what the entries of the config file stand for, and what is wrong",
		Long:    configCheckLong,
		Example: "  pinion config check\n  pinion config check config.yaml --format json",
		Args:    flags.Positional(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := flags.CheckFormat(format, flags.FormatTable); err != nil {
				return err
			}
			opts, err := a.global.Options(a.program.Lookup, a.env)
			if err != nil {
				return err
			}
			for _, file := range args {
				opts = append(opts, pinion.WithConfig(file))
			}
			file, entries, err := pinion.CheckConfig(opts...)
			if err != nil {
				return err
			}
			return a.printEntries(format, file, entries)
		},
	}
	flags.AddFormat(cmd, &format, flags.FormatTable)
	return cmd
}

// configEntry is the JSON form of an entry.
type configEntry struct {
	Line    int    `json:"line"`
	Entry   string `json:"entry"`
	Meaning string `json:"meaning,omitempty"`
	Error   string `json:"error,omitempty"`
}

// printEntries returns an error, which is printed already, if an entry is wrong.
func (a *app) printEntries(format, file string, entries []pinion.ConfigEntry) error {
	list := []configEntry{}
	var rows [][]string
	var failed error
	for _, e := range entries {
		entry := configEntry{Line: e.Line, Entry: a.clean(e.Label), Meaning: a.clean(e.Meaning)}
		status, detail := "ok", entry.Meaning
		if e.Problem != nil {
			entry.Line, entry.Error = e.Problem.Line, a.clean(e.Problem.Err.Error())
			status, detail = "wrong", entry.Error
			failed = &printedError{exitcode.Usage}
		}
		list = append(list, entry)
		rows = append(rows, []string{status, a.clean(fmt.Sprintf("%s:%d", file, entry.Line)),
			entry.Entry, detail})
	}
	var err error
	switch {
	case format == flags.FormatJSON:
		err = output.JSON(a.program.Stdout, struct {
			Schema  int           `json:"schema"`
			OK      bool          `json:"ok"`
			File    string        `json:"file"`
			Entries []configEntry `json:"entries"`
		}{schema.Version, failed == nil, a.clean(file), list})
	case len(rows) == 0:
		_, err = fmt.Fprintf(a.program.Stdout, "%s has no entries, or does not exist\n",
			a.clean(file))
	default:
		err = output.Table(a.program.Stdout, []string{"STATUS", "PLACE", "ENTRY", "DETAIL"}, rows)
	}
	if err != nil {
		return err
	}
	return failed
}

func (a *app) configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print a JSON schema of the config file, for editors",
		Long:    configSchemaLong,
		Example: "  pinion config schema > pinion.schema.json",
		Args:    flags.Positional(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			text, err := resolver.ConfigSchema()
			if err != nil {
				return err
			}
			_, err = a.program.Stdout.Write(text)
			return err
		},
	}
}
