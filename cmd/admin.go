package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

func newAdminCommand(c *cli) *cobra.Command {
	cmd := newGroup("admin", "Manage accounts and administrators from the server itself")
	cmd.Long = `Manages accounts from the server itself, for the day when nobody can sign in.
Run it in the server's directory, with the server's settings. It may run while
servers do.` + exits(fault.NotFound, fault.Conflict, fault.Unavailable)
	cmd.Example = `  heartlock admin create ann@example.com
  heartlock admin reset-password ann@example.com
  heartlock admin deactivate bob@example.com`
	cmd.AddCommand(newAdminCreateCommand(c), newAdminResetPasswordCommand(c))
	cmd.AddCommand(newAdminUserCommands(c)...)
	return cmd
}

// passwordFlag is how a command that needs a password is given one: on standard
// input, or typed at a hidden prompt. It is never an argument, which other users
// could see.
type passwordFlag struct{ stdin bool }

const passwordsDiffer = "The two passwords differ."

func (f *passwordFlag) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.stdin, "password-stdin", false, "read the password from standard input (one line break at its end is not part of it)")
}

func (f *passwordFlag) read(ctx context.Context, c *cli, cmd *cobra.Command) (api.Value, error) {
	if f.stdin {
		v, err := readValue(ctx, c.streams.In, "Standard input")
		return trimOneLineBreak(v), err
	}
	if !isTerminal(c.streams.In) {
		return api.Value{}, wrongUse(cmd, "There is no terminal to ask for a password; use --password-stdin.")
	}
	password, err := c.askHidden(ctx, "Password: ")
	if err != nil {
		return password, err
	}
	again, err := c.askHidden(ctx, "Again: ")
	if err == nil && !again.Equal(password) {
		err = fault.New(fault.Usage, passwordsDiffer)
	}
	return password, err
}

func newAdminCreateCommand(c *cli) *cobra.Command {
	var (
		f        envFileFlag
		password passwordFlag
		in       api.NewAdmin
	)
	cmd := &cobra.Command{
		Use:     "create EMAIL",
		Short:   "Create an administrator",
		Long:    "Creates an account that administers the server. It is no member of any project." + exits(fault.Conflict, fault.Unavailable),
		Example: "  heartlock admin create ann@example.com",
		Args:    takes(1, 1, "one e-mail address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			var err error
			if in.Password, err = password.read(ctx, c, cmd); err != nil {
				return err
			}
			in.Email = args[0]
			return c.withInstance(ctx, &f, func(i *server.Instance) error {
				account, err := i.Vault.CreateAdmin(ctx, vault.Local(), in)
				if err == nil {
					c.say("%s administers this server now.", account.Email)
				}
				return inWordsOfTheCommand(err, adminWords())
			})
		},
	}
	f.register(cmd)
	password.register(cmd)
	cmd.Flags().StringVar(&in.FirstName, "first-name", "", "first name")
	cmd.Flags().StringVar(&in.LastName, "last-name", "", "last name")
	return cmd
}

// adminWords are the answers as the person calls them.
func adminWords() map[string]string {
	return map[string]string{
		"body.admin.email": "The address", "email": "The address",
		"body.admin.password": "The password", "password": "The password",
		"body.admin": "--first-name or --last-name",
	}
}

func newAdminResetPasswordCommand(c *cli) *cobra.Command {
	var (
		f           envFileFlag
		password    passwordFlag
		clearFactor bool
	)
	cmd := &cobra.Command{
		Use:     "reset-password EMAIL",
		Short:   "Give an account a new password",
		Long:    "Gives an account a new password, makes it active, and ends its sessions.\n\nIts second factor stays, unless --clear-second-factor takes it away: for a person who has\nlost the phone and the recovery codes." + exits(fault.NotFound, fault.Unavailable),
		Example: "  heartlock admin reset-password ann@example.com",
		Args:    takes(1, 1, "one e-mail address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			text, err := password.read(ctx, c, cmd)
			if err != nil {
				return err
			}
			return c.withInstance(ctx, &f, func(i *server.Instance) error {
				if err := i.Vault.ResetPassword(ctx, vault.Local(), args[0], text, clearFactor); err != nil {
					return inWordsOfTheCommand(err, adminWords())
				}
				c.say("The password was changed and all sessions of the account were ended.")
				return nil
			})
		},
	}
	f.register(cmd)
	password.register(cmd)
	cmd.Flags().BoolVar(&clearFactor, "clear-second-factor", false, "take the account's second factor away too")
	return cmd
}
