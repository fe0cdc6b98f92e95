package cmd

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

func newSecretsHistoryCommand(c *cli, f *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "history KEY",
		Short: "List the versions of a secret",
		Long: `Lists the versions of a secret that are kept, the newest first, without values. A
secret that was deleted is found too, until its history has run out.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock secrets history DATABASE_URL
  heartlock secrets get DATABASE_URL --version 3`,
		Args: takes(1, 1, "the KEY of one secret"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
			e, err := s.environment(ctx)
			if err != nil {
				return err
			}
			versions, err := client.Collect(s.client.SecretVersions(ctx, e, args[0]))
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(versions)
			}
			t := table{head: []string{"VERSION", "CHANGED", "BY", "KEY", "STATE", "COMMENT"}}
			for i, v := range versions {
				t.add(strconv.FormatInt(v.Version, 10), when(v.UpdatedAt), v.UpdatedBy.Name, v.Key, versionState(i, v), v.Comment)
			}
			return s.printTable(t)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// versionState is what the i-th newest version is now.
func versionState(i int, v api.SecretVersion) string {
	switch {
	case v.Deleted:
		return "deleted"
	case i == 0:
		return "current"
	}
	return "former"
}

func newSecretsRollbackCommand(c *cli, f *clientFlags) *cobra.Command {
	var (
		to     int64
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "rollback KEY --to VERSION",
		Short: "Give a secret the value of a former version",
		Long: `Gives a secret the value and the comment of a former version, as a new version, so
that this can be taken back too. A deleted secret is brought back by the version
before its deletion.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock secrets history DATABASE_URL
  heartlock secrets rollback DATABASE_URL --to 3`,
		Args: takes(1, 1, "the KEY of one secret"),
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if to < 1 {
			return wrongUse(cmd, "Say with --to which version shall come back; heartlock secrets history lists them.")
		}
		return nil
	}
	cmd.RunE = c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
		e, err := s.environment(ctx)
		if err != nil {
			return err
		}
		secret, err := s.client.RollBackSecret(ctx, e, args[0], to)
		if err != nil {
			return err
		}
		s.tell("%s in %s has the value of version %d again (version %d).", secret.Key, e, to, secret.Version)
		if asJSON {
			return s.printJSON(secret)
		}
		return nil
	})
	cmd.Flags().Int64Var(&to, "to", 0, "`VERSION` whose value shall come back")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
