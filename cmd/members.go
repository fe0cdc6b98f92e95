package cmd

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

func newMembersCommand(c *cli) *cobra.Command {
	f := &clientFlags{}
	group := newGroup("members", "List, change and remove the members of a project")
	list := newMembersListCommand(c, f)
	group.Long = `The members of a project are the people who may read it, each with a role: a viewer
reads secrets, a member also writes them, an admin also sees to members and tokens,
an owner may do everything. What a viewer or member may do can be limited further
in single environments. People come in by invitations (see heartlock invitations).
Without a command it lists the members.` + exits(clientKinds(fault.NotFound)...)
	group.AddCommand(list, newMembersSetRoleCommand(c, f), newMembersLimitCommand(c, f), newMembersRemoveCommand(c, f), newMembersLeaveCommand(c, f))
	f.register(group.PersistentFlags(), inProject)
	listByDefault(group, list)
	return group
}

func newMembersListCommand(c *cli, f *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the members of a project",
		Long: `Lists the members of a project with their roles, and in which environments they may
do less than that.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock members --project shop
  heartlock members --project shop --json | jq -r '.[] | select(.role == "owner").email'`,
		Args: takes(0, 0, "no arguments"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
			project, err := s.project(ctx)
			if err != nil {
				return err
			}
			members, err := client.Collect(s.client.Members(ctx, project))
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(members)
			}
			t := table{head: []string{"EMAIL", "NAME", "ROLE", "LIMITS", "ACTIVE", "SINCE"}}
			for _, m := range members {
				active := "yes"
				if !m.IsActive {
					active = "no"
				}
				t.add(m.Email, strings.TrimSpace(m.FirstName+" "+m.LastName), string(m.Role), limitsText(m.Environments), active, when(m.CreatedAt))
			}
			return s.printTable(t)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// limitsText is limits for a table: "production=none,staging=read".
func limitsText(limits map[string]api.EnvironmentAccess) string {
	var texts []string
	for _, slug := range slices.Sorted(maps.Keys(limits)) {
		texts = append(texts, slug+"="+string(limits[slug]))
	}
	return strings.Join(texts, ",")
}

const whichMember = "the EMAIL address of a member, or his id"

func newMembersSetRoleCommand(c *cli, f *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "set-role EMAIL ROLE",
		Short: "Give a member another role",
		Long: `Gives a member another role: viewer, member, admin or owner. Nobody gives a role
above his own, and only an owner changes admins and owners. An admin or owner has
no limits: whoever becomes one loses those that he had.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock members set-role ann@example.com admin --project shop`,
		Args:    takes(2, 2, whichMember+", and the ROLE"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		role := api.Role(args[1])
		if !role.Valid() {
			return wrongUse(cmd, "The ROLE is viewer, member, admin or owner.")
		}
		return c.updateMember(f, args[0], api.UpdateMember{Role: &role}, asJSON)(cmd, args)
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newMembersLimitCommand(c *cli, f *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "limit EMAIL ENVIRONMENT=ACCESS …",
		Short: "Limit what a member may do in single environments",
		Long: `Limits what a viewer or member may do in single environments. The ACCESS is none (he
can not see that it exists), read (he reads secrets and changes nothing), or write
(what his role allows: the limit ends). Environments that are not named stay as
they are.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock members limit ann@example.com production=none staging=read --project shop
  heartlock members limit ann@example.com production=write --project shop`,
		Args: takes(2, 1+api.MaxEnvironments, whichMember+", and one or more ENVIRONMENT=ACCESS"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		limits, ok := parseLimits(args[1:])
		if !ok {
			return wrongUse(cmd, "After the member stands, for each environment once, ENVIRONMENT=none, =read or =write.")
		}
		return c.updateMember(f, args[0], api.UpdateMember{Environments: limits}, asJSON)(cmd, args)
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// updateMember makes a RunE that changes a member and says what he may do now.
func (c *cli) updateMember(f *clientFlags, name string, change api.UpdateMember, asJSON bool) func(*cobra.Command, []string) error {
	return c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
		project, member, err := s.member(ctx, name)
		if err != nil {
			return err
		}
		now, err := s.client.UpdateMember(ctx, project, member.ID, change)
		if err != nil {
			return err
		}
		limits := ""
		if text := limitsText(now.Environments); text != "" {
			limits = ", limited to " + strings.ReplaceAll(text, ",", ", ")
		}
		s.tell("%s is %s of %s now%s.", now.Email, now.Role, project, limits)
		if asJSON {
			return s.printJSON(now)
		}
		return nil
	})
}

// member is the project, and the member of it that the person has named by his
// address or id.
func (s *session) member(ctx context.Context, name string) (project string, member api.Member, err error) {
	if project, err = s.project(ctx); err != nil {
		return project, member, err
	}
	members, err := client.Collect(s.client.Members(ctx, project))
	if err != nil {
		return project, member, err
	}
	i := slices.IndexFunc(members, func(m api.Member) bool { return m.ID == name || strings.EqualFold(m.Email, name) })
	if i < 0 {
		return project, member, fault.Newf(fault.NotFound, "%s has no member %s.", project, name)
	}
	return project, members[i], nil
}

func newMembersRemoveCommand(c *cli, f *clientFlags) *cobra.Command {
	var keepTokens bool
	cmd := &cobra.Command{
		Use:   "remove EMAIL",
		Short: "Remove a member from a project",
		Long: `Removes a member from a project; nothing that he sends from then on is answered. The
service tokens of the project that he has made are revoked with him, because he may
know them: to keep them, say so. Only an owner removes admins and owners.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock members remove ann@example.com --project shop
  heartlock members remove ann@example.com --project shop --keep-tokens`,
		Args: takes(1, 1, whichMember),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
			project, member, err := s.member(ctx, args[0])
			if err != nil {
				return err
			}
			tokens := s.tokensMadeBy(ctx, project, member.ID)
			if err := s.client.RemoveMember(ctx, project, member.ID, keepTokens); err != nil {
				return err
			}
			s.tell("Removed %s from %s.", member.Email, project)
			s.tellTokens(tokens, keepTokens)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&keepTokens, "keep-tokens", false, "keep the service tokens that he has made")
	return cmd
}

func newMembersLeaveCommand(c *cli, f *clientFlags) *cobra.Command {
	var (
		keepTokens bool
		confirm    string
	)
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "Leave a project yourself",
		Long: `Ends your own membership of a project, whatever your role; only an invitation brings
you back. The last owner can not leave. The service tokens of the project that you
have made are revoked; an admin or owner may keep them. On a terminal you are asked
to type the project's name again; elsewhere --confirm must give it.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock members leave --project shop --confirm shop`,
		Args:    takes(0, 0, "no arguments"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
			project, err := s.project(ctx)
			if err != nil {
				return err
			}
			me, err := s.client.Me(ctx)
			if err != nil {
				return err
			}
			if me.Account == nil {
				return fault.New(fault.Forbidden, "A service token is no member of a project; to end it, have it revoked.")
			}
			tokens := s.tokensMadeBy(ctx, project, me.Account.ID)
			err = s.confirmWith(ctx, confirmation{
				warning: "You leave the project " + safeText(project) + ". Only an invitation brings you back.",
				undone:  "Nothing was done", how: "To leave the project " + project,
			}, project, confirm)
			if err != nil {
				return err
			}
			if err := s.client.RemoveMember(ctx, project, me.Account.ID, keepTokens); err != nil {
				return err
			}
			s.tell("You have left %s.", project)
			s.tellTokens(tokens, keepTokens)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&keepTokens, "keep-tokens", false, "keep the service tokens that you have made")
	cmd.Flags().StringVar(&confirm, "confirm", "", "the `PROJECT` once more, to leave it without being asked")
	return cmd
}

// tokensMadeBy are the names of the service tokens of a project that somebody has
// made. To whom the server does not tell them there are none to be named.
func (s *session) tokensMadeBy(ctx context.Context, project, user string) []string {
	var names []string
	for token, err := range s.client.ServiceTokens(ctx, project) {
		if err != nil {
			return nil
		}
		if token.CreatedBy.ID == user {
			names = append(names, token.Name)
		}
	}
	return names
}

func (s *session) tellTokens(names []string, kept bool) {
	switch {
	case len(names) == 0:
	case kept:
		s.tell("These service tokens go on working: %s.", strings.Join(names, ", "))
	default:
		s.tell("These service tokens were revoked: %s.", strings.Join(names, ", "))
	}
}
