package cmd

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

func newSecretsDeleteCommand(c *cli, f *clientFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete KEY …",
		Short:   "Delete secrets",
		Long:    "Deletes secrets. Several at once are one change: all of them or none." + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock secrets delete OLD_API_KEY OLDER_API_KEY --project shop --environment staging`,
		Args:    takes(1, api.MaxSecretsPerBulk, fmt.Sprintf("1 to %d KEYs", api.MaxSecretsPerBulk)),
	}
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		for i, key := range args {
			if problem := api.CheckKey(key); problem != "" {
				return wrongUse(cmd, "Argument %d: the KEY %s.", i+1, problem)
			}
			if slices.Contains(args[:i], key) {
				return wrongUse(cmd, "Argument %d: this KEY stands there twice.", i+1)
			}
		}
		return nil
	}
	cmd.RunE = c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
		e, err := s.environment(ctx)
		if err != nil {
			return err
		}
		if len(args) > 1 {
			result, err := s.client.BulkSecrets(ctx, e, api.BulkRequest{Unset: args})
			if err != nil {
				return err
			}
			s.tellBulk(e, result)
			return nil
		}
		if err := s.client.DeleteSecret(ctx, e, args[0]); err != nil {
			return err
		}
		s.tell("Deleted %s from %s.", args[0], e)
		return nil
	})
	return cmd
}
