package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

func newSecretsCommand(c *cli) *cobra.Command {
	f := &clientFlags{}
	group := newGroup("secrets", "Get, set, list and delete secrets")
	group.Long = `Reads and changes the secrets of one environment. A service token knows its project
and, if it is for one only, its environment; otherwise name them by flag, by
HEARTLOCK_PROJECT and HEARTLOCK_ENVIRONMENT, or in heartlock.yaml.` + exits()
	group.Example = `  heartlock secrets get DATABASE_URL
  heartlock secrets set DATABASE_URL=postgres://db/shop --project shop --environment staging`
	group.AddCommand(
		newSecretsGetCommand(c, f),
		newSecretsSetCommand(c, f),
		newSecretsListCommand(c, f),
		newSecretsDeleteCommand(c, f),
		newSecretsHistoryCommand(c, f),
		newSecretsRollbackCommand(c, f),
	)
	f.register(group.PersistentFlags(), inEnvironment)
	return group
}

func newSecretsGetCommand(c *cli, f *clientFlags) *cobra.Command {
	var (
		asJSON  bool
		output  string
		version int64
	)
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print one secret",
		Long: `Prints the value of one secret and nothing else: exactly the bytes that were stored,
without a line break at the end. On a terminal a line break follows, and characters
that would steer the terminal are spelled out.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock secrets get DATABASE_URL
  DATABASE_URL=$(heartlock secrets get DATABASE_URL)
  heartlock secrets get TLS_KEY -o tls.key --project shop --environment production`,
		Args: takes(1, 1, "the KEY of one secret"),
	}
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if problem := api.CheckKey(args[0]); problem != "" {
			return wrongUse(cmd, "KEY %s.", problem)
		}
		if asJSON && output != "" {
			return wrongUse(cmd, "--json and --output are both given; --output takes the bare value.")
		}
		if cmd.Flags().Changed("version") && version < 1 {
			return wrongUse(cmd, "--version must be a whole number from 1.")
		}
		return nil
	}
	cmd.RunE = c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
		e, err := s.environment(ctx)
		if err != nil {
			return err
		}
		var secret api.Secret
		if version > 0 {
			secret, err = s.client.SecretVersion(ctx, e, args[0], version)
		} else {
			secret, err = s.client.Secret(ctx, e, args[0])
		}
		switch {
		case err != nil:
			return err
		case asJSON:
			return s.printJSON(secret)
		case output != "" && output != "-":
			return s.writePrivate(output, *secret.Value)
		default:
			return s.printValue(*secret.Value)
		}
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the value and what is known about it")
	cmd.Flags().Int64Var(&version, "version", 0, "a former version's `NUMBER`, also of a deleted secret")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the value to this `FILE`, which only you can read")
	return cmd
}

// writePrivate puts a value into a file of mode 0600. What was there is replaced
// at once and as a whole, also when it had another mode or was a symbolic link;
// devices and pipes are written to as they are.
func (c *cli) writePrivate(name string, v api.Value) error {
	path := c.path(name)
	var err error
	if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = writeDevice(path, v)
	} else {
		err = replaceFile(path, v)
	}
	if err != nil {
		return fault.Wrap(fault.Usage, err, fmt.Sprintf("%s can not be written: %s.", name, ioReason(err)))
	}
	return nil
}

func writeDevice(path string, v api.Value) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(v.Reveal())
	return errors.Join(err, f.Close())
}

func replaceFile(path string, v api.Value) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".heartlock-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, which is the aim
	_, err = f.WriteString(v.Reveal())
	if err := errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
