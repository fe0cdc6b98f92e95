package cmd

import (
	"bytes"

	"github.com/spf13/cobra"
)

func newCompletionCommand(c *cli) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the completion script of a shell",
		Long:  "Prints a script that lets a shell complete the commands and flags of heartlock." + exits(),
		Example: `  heartlock completion bash > /etc/bash_completion.d/heartlock
  heartlock completion zsh > "${fpath[1]}/_heartlock"
  heartlock completion fish > ~/.config/fish/completions/heartlock.fish
  heartlock completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		Args:      takes(1, 1, "the name of one shell: bash, zsh, fish or powershell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var b bytes.Buffer
			root := cmd.Root()
			var err error
			switch args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&b, true)
			case "zsh":
				err = root.GenZshCompletion(&b)
			case "fish":
				err = root.GenFishCompletion(&b, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(&b)
			default:
				err = wrongUse(cmd, "There is no completion for that shell; there is one for bash, zsh, fish and powershell.")
			}
			if err != nil {
				return err
			}
			return c.write(b.Bytes())
		},
	}
}
