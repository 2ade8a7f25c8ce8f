package cli

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

func (a *app) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "token [flags] NAME",
		Short: "Make a token for the callers of a server",
		Long: `Make a token, and the entry for it in the file of "pinion serve --tokens-file",
which has a digest instead of the token. The token is printed once and kept nowhere.

An entry may have rights (see, build, cancel and prune; see and build without it), templates (all
without it) and requests_per_minute. The server reads a changed file within seconds; an entry that
is gone ends the sessions of its browsers.`,
		Example: `  pinion token ci
  pinion token ci 2>> /etc/pinion/tokens.yaml > ci-token`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !access.IsName(args[0]) {
				return flags.Errorf("give one name, of letters, digits and ._@-")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			token := rand.Text()
			sum := sha256.Sum256([]byte(token))
			fmt.Fprintf(a.program.Stderr, "- name: %s\n  sha256: %s\n  rights: [see, build]\n",
				args[0], hex.EncodeToString(sum[:]))
			fmt.Fprintln(a.program.Stdout, token)
			return nil
		},
	}
}
