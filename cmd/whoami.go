package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
)

func newWhoamiCommand(c *cli) *cobra.Command {
	var (
		f      clientFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "whoami",
		Short: "Show whose token is used, and at which server",
		Long:  "Asks the server whom the token belongs to: a person, or a machine and what it may do." + exits(clientKinds()...),
		Example: `  heartlock whoami
  heartlock whoami --json`,
		Args: takes(0, 0, "no arguments"),
		RunE: c.clientRun(&f, func(ctx context.Context, s *session, _ []string) error {
			me, err := s.client.Me(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(me)
			}
			return s.printTable(describeMe(s.client.Origin(), me))
		}),
	}
	f.register(cmd.Flags(), inServer)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func describeMe(server string, me api.Me) table {
	if t := me.ServiceToken; t != nil {
		return table{
			head: []string{"SERVICE TOKEN", "PROJECT", "ENVIRONMENTS", "ACCESS", "EXPIRES", "SERVER"},
			rows: [][]string{{t.Name, t.Project, strings.Join(t.Environments, ","), string(t.Access), whenOr(t.ExpiresAt, "never"), server}},
		}
	}
	account := api.Account{}
	if me.Account != nil {
		account = *me.Account
	}
	superuser := "no"
	if account.IsSuperuser {
		superuser = "yes"
	}
	return table{
		head: []string{"EMAIL", "NAME", "SUPERUSER", "SERVER"},
		rows: [][]string{{account.Email, strings.TrimSpace(account.FirstName + " " + account.LastName), superuser, server}},
	}
}
