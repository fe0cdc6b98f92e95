package web

import (
	"slices"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const invitationsPath = projectPath + "invitations/"

func invitationRoutes() []route {
	return []route{
		{method: post, pattern: invitationsPath, action: vault.ActionCreateInvitation, serve: invite},
		{method: post, pattern: invitationsPath + "{invitation}/resend/", action: vault.ActionResendInvitation, serve: inviteAgain},
		{method: post, pattern: invitationsPath + "{invitation}/revoke/", action: vault.ActionRevokeInvitation, serve: revokeInvitation},
	}
}

// invitationRow is an open invitation.
type invitationRow struct {
	api.Invitation
	Expired bool
	Limits  []limitRow
	// MayResend: one may give the role that it is for.
	MayResend bool
}

// Less lists the environments in which the guest may do less than his role allows.
func (i invitationRow) Less() []limitRow { return limited(i.Limits) }

// invited is an invitation that was just made, with its link, which is shown this one
// time.
type invited struct {
	Email     string
	Link      string
	ExpiresAt time.Time
}

func (v *visit) invitationRows(nav *projectNav) ([]invitationRow, error) {
	list, err := v.vault.Invitations(v, v.who, nav.Project.ID)
	if err != nil {
		return nil, err
	}
	rows := make([]invitationRow, len(list.Results))
	for i, one := range list.Results {
		rows[i] = invitationRow{
			Invitation: one, Expired: one.State == api.InvitationExpired, Limits: limitRows(nav.Environments, one.Environments),
			MayResend: slices.Contains(vault.RolesToGive(nav.Project.Role), one.Role),
		}
	}
	return rows, nil
}

func invite(v *visit) error {
	role := api.Role(v.text("role"))
	made, err := v.vault.CreateInvitation(v, v.who, v.path("project"), api.CreateInvitation{
		Email: v.text("email"), Role: role, Environments: v.limits(role),
	})
	if err != nil {
		return v.again(err, showMembers)
	}
	return v.showInvited(made)
}

func inviteAgain(v *visit) error {
	made, err := v.vault.ResendInvitation(v, v.who, v.path("project"), v.path("invitation"))
	if err != nil {
		return v.again(err, showMembers)
	}
	return v.showInvited(made)
}

// showInvited answers with the page itself, and not with a redirect to it: the link is
// in no address and no cookie.
func (v *visit) showInvited(made api.Invitation) error {
	just := invited{Email: made.Email, ExpiresAt: made.ExpiresAt}
	if made.Link != nil {
		just.Link = made.Link.Reveal()
	}
	return v.showMembers(&just)
}

func revokeInvitation(v *visit) error {
	err := v.vault.RevokeInvitation(v, v.who, v.path("project"), v.path("invitation"))
	if err != nil && !v.gone(err) {
		return v.again(err, showMembers)
	}
	return v.done(v.membersPage(), "invitation-revoked")
}
