package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

const completionLong = `Print a script for a shell that completes verbs, flags and the names in the
catalogue, without any network access.`

const completionExample = `  source <(pinion completion bash)
  pinion completion bash > /etc/bash_completion.d/pinion
  pinion completion zsh > "${fpath[1]}/_pinion"
  pinion completion fish > ~/.config/fish/completions/pinion.fish
  pinion completion powershell | Out-String | Invoke-Expression`

func (a *app) completionCommand() *cobra.Command {
	shells := []cobra.Completion{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Print a shell's completion script",
		Long:      completionLong,
		Example:   completionExample,
		ValidArgs: shells,
		Args: flags.Positional(cobra.MatchAll(cobra.ExactArgs(1),
			cobra.OnlyValidArgs)),
		ValidArgsFunction: cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeCompletion(cmd.Root(), a.program.Stdout, args[0])
		},
	}
}

func writeCompletion(root *cobra.Command, w io.Writer, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(w)
	}
	return fmt.Errorf("no completion for %q", shell)
}
