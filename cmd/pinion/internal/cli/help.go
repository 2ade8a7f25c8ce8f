package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpColumns is the width of the help.
const helpColumns = 100

// printUsage prints a command's usage like cobra does, but wraps the descriptions of flags.
func printUsage(cmd *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:")
	if cmd.Runnable() {
		b.WriteString("\n  " + cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n  " + cmd.CommandPath() + " [command]")
	}
	if len(cmd.Aliases) > 0 {
		b.WriteString("\n\nAliases:\n  " + cmd.NameAndAliases())
	}
	if cmd.HasExample() {
		b.WriteString("\n\nExamples:\n" + cmd.Example)
	}
	subcommands(&b, cmd)
	flagUsages(&b, "Flags", cmd.LocalFlags())
	flagUsages(&b, "Global flags", cmd.InheritedFlags())
	topics(&b, cmd)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n\nRun \"%s [command] --help\" for more about a command.",
			cmd.CommandPath())
	}
	_, err := fmt.Fprintln(cmd.OutOrStderr(), b.String())
	return err
}

func flagUsages(b *strings.Builder, title string, fs *pflag.FlagSet) {
	if fs.HasAvailableFlags() {
		b.WriteString("\n\n" + title + ":\n" +
			strings.TrimRight(fs.FlagUsagesWrapped(helpColumns), "\n"))
	}
}

func subcommands(b *strings.Builder, cmd *cobra.Command) {
	title := "\n\nCommands:"
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			fmt.Fprintf(b, "%s\n  %-*s %s", title, sub.NamePadding(), sub.Name(), sub.Short)
			title = ""
		}
	}
}

func topics(b *strings.Builder, cmd *cobra.Command) {
	title := "\n\nHelp topics:"
	for _, sub := range cmd.Commands() {
		if sub.IsAdditionalHelpTopicCommand() {
			fmt.Fprintf(b, "%s\n  %s  %s", title, sub.CommandPath(), sub.Short)
			title = ""
		}
	}
}
