package cmd

import (
	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/keyring"
)

func newGenkeyCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "genkey",
		Short: "Make an encryption key",
		Long: `Prints one new encryption key (a Fernet key: 32 random bytes in base64) and a line
break, nothing else. It is for HEARTLOCK_ENCRYPTION_KEY. Keep it in a safe place
beside the backups: without it the stored secrets can not be read by anybody.` + exits(),
		Example: `  heartlock genkey
  HEARTLOCK_ENCRYPTION_KEY=$(heartlock genkey) heartlock serve`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			return c.write([]byte(keyring.Generate().Encode() + "\n"))
		},
	}
}
