package cmd

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

// newAdminUserCommands are the commands under admin that see to accounts that
// are there.
func newAdminUserCommands(c *cli) []*cobra.Command {
	return []*cobra.Command{
		newAdminListCommand(c),
		newAdminChangeCommand(c, accountChange{
			name: "deactivate", short: "Switch an account off",
			long: `Switches an account off: its sessions end at once, and its personal tokens are
refused until it is switched on again. Service tokens stay, they belong to
projects. The last administrator stays, and so does the last owner of a project:
make somebody else one first.`,
			change: vault.LocalDeactivate(), done: "The account of %s is switched off.",
		}),
		newAdminChangeCommand(c, accountChange{
			name: "activate", short: "Switch an account on again",
			long:   "Switches an account on again. Its password and its personal tokens are as before.",
			change: vault.LocalActivate(), done: "The account of %s is switched on.",
		}),
		newAdminChangeCommand(c, accountChange{
			name: "grant", short: "Make an account an administrator of the server",
			long:   "Makes an account an administrator of the server. It is no member of any project\nthrough that.",
			change: vault.LocalGrant(), done: "%s administers this server.",
		}),
		newAdminChangeCommand(c, accountChange{
			name: "revoke", short: "Make an administrator an account like others",
			long:   "Makes an administrator an account like others. Its projects stay, and so does the\nlast administrator: make another one first.",
			change: vault.LocalRevoke(), done: "%s does not administer this server.",
		}),
	}
}

func newAdminListCommand(c *cli) *cobra.Command {
	var (
		f              envFileFlag
		admins, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts of the server",
		Long:  "Lists the accounts of the server by their addresses." + exits(fault.Unavailable),
		Example: `  heartlock admin list
  heartlock admin list --administrators`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withInstance(cmd.Context(), &f, func(i *server.Instance) error {
				users, err := localUsers(cmd.Context(), i.Vault, admins)
				if err != nil {
					return err
				}
				if asJSON {
					return c.printJSON(users)
				}
				return c.printTable(userTable(users))
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&admins, "administrators", false, "only administrators")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// localUsers reads every page of the accounts.
func localUsers(ctx context.Context, v *vault.Vault, admins bool) ([]api.User, error) {
	users := []api.User{}
	query := vault.UserQuery{Limit: api.MaxPageSize}
	if admins {
		query.Superuser = new(true)
	}
	for {
		page, err := v.LocalUsers(ctx, vault.Local(), query)
		if err != nil {
			return nil, err
		}
		users = append(users, page.Results...)
		if page.Next == nil {
			return users, nil
		}
		query.Cursor = *page.Next
	}
}

func userTable(users []api.User) table {
	t := table{head: []string{"ADDRESS", "NAME", "ACTIVE", "ADMINISTRATOR", "SIGNS IN WITH", "PROJECTS", "LAST SIGN-IN"}}
	for _, u := range users {
		t.add(u.Email, fullName(u), yesNo(u.IsActive), yesNo(u.IsSuperuser), signsInWith(u), strconv.Itoa(u.Projects), whenOr(u.LastLoginAt, "never"))
	}
	return t
}

func fullName(u api.User) string {
	if u.FirstName == "" || u.LastName == "" {
		return u.FirstName + u.LastName
	}
	return u.FirstName + " " + u.LastName
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func signsInWith(u api.User) string {
	password := "password"
	if u.SecondFactor {
		password = "password and code"
	}
	switch {
	case u.HasPassword && u.SSO:
		return password + ", single sign-on"
	case u.HasPassword:
		return password
	case u.SSO:
		return "single sign-on"
	}
	return "nothing yet"
}

// accountChange is a command that changes the account of an address.
type accountChange struct {
	name, short, long string
	change            vault.LocalChange
	done              string // with %s for the address
}

func newAdminChangeCommand(c *cli, what accountChange) *cobra.Command {
	var f envFileFlag
	cmd := &cobra.Command{
		Use:     what.name + " EMAIL",
		Short:   what.short,
		Long:    what.long + exits(fault.NotFound, fault.Conflict, fault.Unavailable),
		Example: "  heartlock admin " + what.name + " ann@example.com",
		Args:    takes(1, 1, "one e-mail address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withInstance(ctx, &f, func(i *server.Instance) error {
				user, err := i.Vault.ChangeUserLocally(ctx, vault.Local(), args[0], what.change)
				if err == nil {
					c.say(what.done, user.Email)
				}
				return inWordsOfTheCommand(err, adminWords())
			})
		},
	}
	f.register(cmd)
	return cmd
}
