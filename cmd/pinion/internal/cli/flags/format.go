package flags

import (
	"strings"

	"github.com/spf13/cobra"
)

// Values of --format.
const (
	FormatText  = "text"
	FormatTable = "table"
	FormatJSON  = "json"
)

// AddFormat adds --format to a command, which chooses between a human-readable format, the default,
// and JSON.
func AddFormat(cmd *cobra.Command, to *string, readable string) {
	cmd.Flags().StringVar(to, "format", readable, "output `format`: "+readable+" or json")
	CompleteChoices(cmd, "format", readable, FormatJSON)
}

// CheckFormat rejects values of --format that the command of AddFormat does not offer.
func CheckFormat(value, readable string) error {
	return OneOf("format", value, readable, FormatJSON)
}

// CompleteChoices completes a flag's value from a fixed list.
func CompleteChoices(cmd *cobra.Command, flag string, choices ...string) {
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc(flag,
		cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
}

// completeStore completes the kind of a store, and then a folder.
func completeStore(
	_ *cobra.Command, _ []string, typed string,
) ([]cobra.Completion, cobra.ShellCompDirective) {
	if strings.HasPrefix(typed, "oci:") {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return []cobra.Completion{"docker", "oci:"},
		cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
