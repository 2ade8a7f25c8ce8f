package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// schemaVersion of the JSON that this package makes.
const schemaVersion = schema.Version

// Values of --format.
const (
	formatText  = "text"
	formatTable = "table"
	formatJSON  = "json"
)

// formatFlag adds --format with the choice between one for people, which is the default, and JSON.
func formatFlag(fs *pflag.FlagSet, to *string, people string) {
	fs.StringVar(to, "format", people, "output `format`: "+people+" or json")
}

// completeChoices completes a flag's value from a fixed list.
func completeChoices(cmd *cobra.Command, flag string, choices ...string) {
	// It fails for a flag that is not there, which the tests would show.
	_ = cmd.RegisterFlagCompletionFunc(flag,
		cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
}

// writeJSON writes v on one line. Invisible format characters, bidi controls among them, are
// escaped: JSON allows them in strings, a terminal should not get them.
func writeJSON(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, escapeFormat(string(text))+"\n")
	return err
}

func escapeFormat(s string) string {
	hidden := func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	}
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// writeTable aligns rows under a head as docker does: capitals, three spaces between columns.
func writeTable(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			// A tab or a newline in a cell would break the table.
			cells[i] = strings.Join(strings.Fields(cell), " ")
		}
		if _, err := fmt.Fprintln(t, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}
