package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

func (a *app) tokenCommand() *cobra.Command {
	var grant access.Grant
	cmd := &cobra.Command{
		Use:   "token [flags] NAME",
		Short: "Make a token for the callers of a server",
		Long: `Make a token, and the entry for it in the file of "pinion serve --tokens-file",
which has a digest instead of the token. The token is printed once and kept nowhere.

The server reads a changed file within seconds; an entry that is gone ends the sessions of its
browsers.`,
		Example: `  pinion token ci
  pinion token ci 2>> /etc/pinion/tokens.yaml > ci-token
  pinion token reader --rights see --template claude-code --requests-per-minute 60`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return flags.Errorf("give one name, of letters, digits and ._@-")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			grant.Name = args[0]
			token, entry, err := access.New(grant)
			if err != nil {
				return flags.Errorf("%v", err)
			}
			fmt.Fprintf(a.program.Stderr, "%s", entry)
			fmt.Fprintln(a.program.Stdout, token)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&grant.Rights, "rights", nil,
		"`rights` of see, build, cancel and prune, separated by commas (default see,build)")
	fs.StringArrayVar(&grant.Templates, "template", nil,
		"`name` of a template that the token is for (repeatable, default all)")
	fs.IntVar(&grant.PerMinute, "requests-per-minute", 0,
		"`number` of requests that the caller may make in a minute; 0 is no limit")
	return cmd
}
