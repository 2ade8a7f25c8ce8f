package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const mark = "<!-- Written by cmd/pinion/internal/gendocs. Do not edit. -->\n\n"

// tree returns a command and its visible subcommands, in the order of its help.
func tree(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() {
			all = append(all, tree(c)...)
		}
	}
	return all
}

func fileName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "_") + ".md"
}

// page returns the Markdown for one command.
func page(cmd *cobra.Command) string {
	var b strings.Builder
	b.WriteString(mark)
	fmt.Fprintf(&b, "# %s\n\n%s.\n", cmd.CommandPath(), strings.TrimSuffix(cmd.Short, "."))
	if cmd.Runnable() {
		block(&b, "", cmd.UseLine())
	}
	if cmd.Long != "" {
		// A text block keeps lists and tables that are laid out with spaces.
		block(&b, "", cmd.Long)
	}
	if cmd.Example != "" {
		b.WriteString("\n## Examples\n")
		block(&b, "sh", unindent(cmd.Example))
	}
	flags(&b, "Flags", cmd.NonInheritedFlags())
	if cmd.HasParent() && cmd.Runnable() {
		fmt.Fprintf(&b, "\nThe flags of [%s](%s) work here too.\n", cmd.Root().Name(),
			fileName(cmd.Root()))
	}
	if !cmd.HasParent() {
		commands(&b, cmd)
	}
	return b.String()
}

func block(b *strings.Builder, language, text string) {
	if language == "" {
		language = "text"
	}
	fmt.Fprintf(b, "\n```%s\n%s\n```\n", language, strings.TrimRight(text, "\n"))
}

func unindent(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "  ")
	}
	return strings.Join(lines, "\n")
}

// flags writes a table of flags without --help.
func flags(b *strings.Builder, title string, fs *pflag.FlagSet) {
	var rows strings.Builder
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, text := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if kind != "" {
			name += " " + kind
		}
		fallback := ""
		if f.DefValue != "" && f.DefValue != "false" {
			fallback = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", name, fallback,
			strings.ReplaceAll(text, "|", `\|`))
	})
	if rows.Len() == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n| flag | default | |\n|---|---|---|\n%s", title, rows.String())
}

func commands(b *strings.Builder, cmd *cobra.Command) {
	b.WriteString("\n## Commands\n\n")
	for _, c := range tree(cmd)[1:] {
		fmt.Fprintf(b, "- [%s](%s): %s\n", c.CommandPath(), fileName(c), lowerFirst(c.Short))
	}
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
