package cmd

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

// mask stands in a table for a value that was not asked for.
const mask = "********"

func newSecretsListCommand(c *cli, f *clientFlags) *cobra.Command {
	var show, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the secrets of an environment",
		Long: `Lists the secrets of an environment. The values are not even asked for unless --show
is given; reading them is recorded in the project's audit trail.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock secrets list --project shop --environment staging
  heartlock secrets list --json | jq -r '.[].key'
  heartlock secrets list --show --json > everything.json`,
		Args: takes(0, 0, "no arguments"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
			e, err := s.environment(ctx)
			if err != nil {
				return err
			}
			secrets, err := s.client.Secrets(ctx, e, client.ListSecrets{Values: show})
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(secrets.Results)
			}
			t := table{head: []string{"KEY", "VALUE", "VERSION", "UPDATED", "BY", "COMMENT"}}
			for _, secret := range secrets.Results {
				value := mask
				if secret.Value != nil {
					value = secret.Value.Reveal()
				}
				t.add(secret.Key, value, strconv.FormatInt(secret.Version, 10), when(secret.UpdatedAt), secret.UpdatedBy.Name, secret.Comment)
			}
			return s.printTable(t)
		}),
	}
	cmd.Flags().BoolVar(&show, "show", false, "show the values")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
