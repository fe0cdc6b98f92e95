package cmd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

func newInvitationsCommand(c *cli) *cobra.Command {
	f := &clientFlags{}
	group := newGroup("invitations", "Invite people to a project")
	list := newInvitationsListCommand(c, f)
	group.Long = `Invites people to a project by their e-mail addresses. Who is invited gets a mail
with a link; a link is printed as well, for who has an account already, and for
servers that send no mail. Without a command it lists the invitations.` + exits(clientKinds(fault.NotFound)...)
	project := []*cobra.Command{list, newInvitationsCreateCommand(c, f), newInvitationsResendCommand(c, f), newInvitationsRevokeCommand(c, f)}
	for _, cmd := range project {
		f.register(cmd.Flags(), inProject)
	}
	group.AddCommand(append(project, newInvitationsAcceptCommand(c))...)
	listByDefault(group, list)
	return group
}

func newInvitationsListCommand(c *cli, f *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the invitations of a project",
		Long: `Lists the invitations of a project that were neither accepted nor revoked, also
those that have expired. Their links are not shown again.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock invitations --project shop`,
		Args:    takes(0, 0, "no arguments"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
			project, err := s.project(ctx)
			if err != nil {
				return err
			}
			invitations, err := client.Collect(s.client.Invitations(ctx, project))
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(invitations)
			}
			return s.printTable(invitationTable(invitations))
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func invitationTable(invitations []api.Invitation) table {
	t := table{head: []string{"ID", "EMAIL", "ROLE", "LIMITS", "STATE", "EXPIRES", "INVITED BY"}}
	for _, i := range invitations {
		var limits []string
		for _, slug := range slices.Sorted(maps.Keys(i.Environments)) {
			limits = append(limits, slug+"="+string(i.Environments[slug]))
		}
		t.add(i.ID, i.Email, string(i.Role), strings.Join(limits, ","), string(i.State), when(i.ExpiresAt), i.InvitedBy.Email)
	}
	return t
}

func newInvitationsCreateCommand(c *cli, f *clientFlags) *cobra.Command {
	var (
		role   string
		limits []string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "create EMAIL",
		Short: "Invite someone to a project",
		Long: `Invites the owner of an e-mail address to a project. Prints a link, which is shown
this one time only, and nothing else on standard output. The account of that address
can accept with it. If there is none yet, the link in the mail creates it; on a
server that sends no mail the printed one does. You can invite up to your own role.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock invitations create ann@example.com --role member --project shop
  heartlock invitations create ann@example.com --role member --environment production=read --project shop`,
		Args: takes(1, 1, "the EMAIL address of one person"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request := api.CreateInvitation{Email: args[0], Role: api.Role(role)}
		if !request.Role.Valid() {
			return wrongUse(cmd, "Which role? --role is viewer, member, admin or owner.")
		}
		var ok bool
		if request.Environments, ok = parseLimits(limits); !ok {
			return wrongUse(cmd, "--environment is the slug of an environment and what is left to do there, such as production=read or production=none.")
		}
		return c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
			return createInvitation(ctx, s, request, asJSON)
		})(cmd, args)
	}
	flags := cmd.Flags()
	flags.StringVar(&role, "role", "", "`ROLE`: viewer, member, admin or owner")
	flags.StringSliceVarP(&limits, "environment", "e", nil, "limit in one environment, `NAME=none` or NAME=read; may be given several times")
	flags.BoolVar(&asJSON, "json", false, "print JSON, the link included")
	return cmd
}

// parseLimits reads NAME=none and NAME=read, each name once.
func parseLimits(texts []string) (map[string]api.EnvironmentAccess, bool) {
	if len(texts) == 0 {
		return nil, true
	}
	limits := make(map[string]api.EnvironmentAccess, len(texts))
	for _, text := range texts {
		name, access, _ := strings.Cut(text, "=")
		if _, twice := limits[name]; twice || name == "" || !api.EnvironmentAccess(access).Valid() {
			return nil, false
		}
		limits[name] = api.EnvironmentAccess(access)
	}
	return limits, true
}

func createInvitation(ctx context.Context, s *session, request api.CreateInvitation, asJSON bool) error {
	project, err := s.project(ctx)
	if err != nil {
		return err
	}
	i, err := s.client.CreateInvitation(ctx, project, request)
	if err != nil {
		return err
	}
	s.tell("Invited %s to %s as %s. The link is valid until %s and is not shown again.", i.Email, project, i.Role, when(i.ExpiresAt))
	return s.printLink(&i, asJSON)
}

func (s *session) printLink(i *api.Invitation, asJSON bool) error {
	if asJSON {
		return s.printJSON(i)
	}
	return s.printLine(i.Link.Reveal())
}

const whichInvitation = "the ID of one invitation, as the list shows it, or its e-mail address"

func newInvitationsResendCommand(c *cli, f *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "resend ID",
		Short: "Send an invitation again, with a new link",
		Long: `Sends an invitation again, with a new link that is valid for the whole time again;
the former link is worthless at once. Takes the id or the address. Prints the new
link.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock invitations resend ann@example.com --project shop`,
		Args:    takes(1, 1, whichInvitation),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
			project, id, err := s.invitation(ctx, args[0])
			if err != nil {
				return err
			}
			i, err := s.client.ResendInvitation(ctx, project, id)
			if err != nil {
				return err
			}
			s.tell("Invited %s to %s again. The new link is valid until %s; the former one is not valid any more.", i.Email, project, when(i.ExpiresAt))
			return s.printLink(&i, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, the link included")
	return cmd
}

func newInvitationsRevokeCommand(c *cli, f *clientFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "Revoke an invitation at once",
		Long:    "Revokes an invitation: its link is worthless at once. Takes the id or the address." + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock invitations revoke ann@example.com --project shop`,
		Args:    takes(1, 1, whichInvitation),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
			project, id, err := s.invitation(ctx, args[0])
			if err != nil {
				return err
			}
			if err := s.client.RevokeInvitation(ctx, project, id); err != nil {
				return err
			}
			s.tell("Revoked the invitation of %s to %s.", args[0], project)
			return nil
		}),
	}
}

// invitation is the project and the id of the invitation that the person has
// named by its id or its address.
func (s *session) invitation(ctx context.Context, name string) (project, id string, err error) {
	if strings.Contains(name, "/") {
		return "", "", fault.New(fault.Usage, "That is a link, not the id of an invitation. Find the id in the list of invitations.")
	}
	if project, err = s.project(ctx); err != nil || !strings.Contains(name, "@") {
		return project, name, err
	}
	invitations, err := client.Collect(s.client.Invitations(ctx, project))
	if err != nil {
		return project, "", err
	}
	i := slices.IndexFunc(invitations, func(i api.Invitation) bool { return strings.EqualFold(i.Email, name) })
	if i < 0 {
		return project, "", fault.Newf(fault.NotFound, "There is no invitation of this address to %s.", project)
	}
	return project, invitations[i].ID, nil
}

// describeInvitation says what a link invites to.
func describeInvitation(o *api.OpenedInvitation) string {
	by := ""
	if o.InvitedBy != nil {
		by = o.InvitedBy.Email
		if o.InvitedBy.Name != "" {
			by = fmt.Sprintf("%s (%s)", o.InvitedBy.Name, by)
		}
	}
	return fmt.Sprintf("%s invites %s to %s as %s.", by, o.Email, o.Project, o.Role)
}
