package rest

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const (
	invitations = project + "invitations/"
	invitation  = invitations + "{id}/"
	opened      = "/invitations/{token}/" // by a link
)

func invitationRoutes() []Route {
	return []Route{
		define(get, invitations, vault.ActionListInvitations, ok, "The invitations of a project that were neither accepted nor revoked.", listInvitations),
		define(post, invitations, vault.ActionCreateInvitation, created, "Invite an address by mail; a link to pass on is in this answer only. Where mail is sent, only the link of the mail can create the account.", createInvitation),
		define(remove, invitation, vault.ActionRevokeInvitation, noContent, "Revoke an invitation.", revokeInvitation),
		define(post, invitation+"resend/", vault.ActionResendInvitation, ok, "Send an invitation again with a new link and a new expiry; the former link ends.", resendInvitation),
		define(get, opened, vault.ActionReadInvitation, ok, "What a link invites to. Changes nothing.", openInvitation),
		define(post, opened+"accept/", vault.ActionAcceptInvitation, ok, "Accept an invitation: as the account of the invited address, or, by the link of the mail, create and sign in to exactly that account.", acceptInvitation),
	}
}

type (
	invitationRef struct {
		projectRef
		idRef
	}
	linkRef struct {
		Token string `path:"token" doc:"The end of the link of an invitation."`
	}
)

func listInvitations(c *call, in struct {
	projectRef
	page
},
) (api.Page[api.Invitation], error) {
	all, err := c.api.vault.Invitations(c, c.who, in.Project)
	if err != nil {
		return all, err
	}
	return cut(all, in.page, func(i api.Invitation) string { return i.ID })
}

func createInvitation(c *call, in struct {
	projectRef
	withBody[api.CreateInvitation]
},
) (api.Invitation, error) {
	return c.api.vault.CreateInvitation(c, c.who, in.Project, in.Body)
}

func revokeInvitation(c *call, in invitationRef) (empty, error) {
	return empty{}, c.api.vault.RevokeInvitation(c, c.who, in.Project, in.ID)
}

func resendInvitation(c *call, in invitationRef) (api.Invitation, error) {
	return c.api.vault.ResendInvitation(c, c.who, in.Project, in.ID)
}

func openInvitation(c *call, in linkRef) (api.OpenedInvitation, error) {
	return c.api.vault.OpenInvitation(c, c.who, in.Token)
}

func acceptInvitation(c *call, in struct {
	linkRef
	withBody[api.AcceptInvitation]
},
) (api.AcceptedInvitation, error) {
	accepted, session, err := c.api.vault.AcceptInvitation(c, c.who, in.Token, in.Body)
	if err != nil || session.Len() == 0 {
		return accepted, err
	}
	return accepted, c.startSession(session)
}
