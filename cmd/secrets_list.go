package cmd

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

// mask stands in a table for a value that was not asked for.
const mask = "********"

func newSecretsListCommand(c *cli, f *clientFlags) *cobra.Command {
	var (
		show, asJSON, deleted bool
		moment                momentFlags
		wanted                client.ListSecrets
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the secrets of an environment",
		Long: `Lists the secrets of an environment. The values are not even asked for unless --show
is given; reading them is recorded in the project's audit trail. With --revision or
--at it shows what the environment was, with --deleted what can be brought back.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock secrets list --project shop --environment staging
  heartlock secrets list --json | jq -r '.[].key'
  heartlock secrets list --show --json > everything.json
  heartlock secrets list --at 2h --show`,
		Args: takes(0, 0, "no arguments"),
		PreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			if deleted && (show || moment.given()) {
				return wrongUse(cmd, "--deleted can not be combined with --show, --revision or --at.")
			}
			wanted.Values = show
			wanted.Revision, wanted.At, err = moment.read(cmd)
			return err
		},
		RunE: c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
			e, err := s.environment(ctx)
			if err != nil {
				return err
			}
			var results []api.Secret
			if deleted {
				results, err = s.client.DeletedSecrets(ctx, e)
			} else {
				var secrets client.Secrets
				secrets, err = s.client.Secrets(ctx, e, wanted)
				results = secrets.Results
			}
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(results)
			}
			updated := "UPDATED"
			if deleted {
				updated = "DELETED"
			}
			t := table{head: []string{"KEY", "VALUE", "VERSION", updated, "BY", "COMMENT"}}
			for _, secret := range results {
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
	cmd.Flags().BoolVar(&deleted, "deleted", false, "list the deleted secrets that can be brought back")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	moment.register(cmd)
	return cmd
}
