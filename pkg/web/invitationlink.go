package web

import (
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// invitationBack is where somebody comes back to who has signed in, or out, for an
// invitation. The token of the link is in a cookie meanwhile.
const invitationBack = "/invitations/"

func invitationLinkRoutes() []route {
	return []route{
		{method: get, pattern: invitationBack, action: vault.ActionReadInvitation, serve: backToInvitation},
		{method: get, pattern: invitationBack + "{token}/", action: vault.ActionReadInvitation, serve: showInvitation},
		{method: post, pattern: invitationBack + "{token}/accept/", action: vault.ActionAcceptInvitation, serve: acceptInvitation},
	}
}

// invitationStep is what somebody with a link can do.
type invitationStep string

const (
	stepAccept invitationStep = "accept"  // with the account that he is signed in to
	stepOther  invitationStep = "other"   // sign out: the invitation is for somebody else
	stepSignIn invitationStep = "sign-in" // with the account that there is
	stepCreate invitationStep = "create"  // an account
	stepMailed invitationStep = "mailed"  // sign in, or open the link of the mail
	stepNone   invitationStep = "none"    // it is over
)

type invitationPage struct {
	api.OpenedInvitation
	Step   invitationStep
	Accept string // path
	Back   string // to come back to
	Mine   bool   // it is for who is signed in
}

// showInvitation shows what a link invites to. It changes nothing: programs that look
// at mail open links.
func showInvitation(v *visit) error {
	limitReferrer(v)
	token := v.path("token")
	opened, err := v.vault.OpenInvitation(v, v.who, token)
	if err != nil {
		return err
	}
	account, signedIn := v.who.Account()
	data := invitationPage{
		OpenedInvitation: opened, Step: stepOf(&opened, account.Email, signedIn),
		Accept: invitationBack + token + "/accept/", Back: invitationBack, Mine: signedIn && account.Email == opened.Email,
	}
	shown := page{Template: "invitation", Title: "Invitation", Plain: true, Data: data}
	if data.Step == stepNone {
		shown.Title, shown.Status = "This invitation is over", fault.Gone.Status()
	} else {
		v.site.options.Cookies.KeepInvitation(v.w, api.NewValue(token))
	}
	return v.show(shown)
}

func stepOf(opened *api.OpenedInvitation, signedInAs string, signedIn bool) invitationStep {
	switch {
	case opened.State != api.InvitationPending:
		return stepNone
	case signedIn && signedInAs == opened.Email:
		return stepAccept
	case signedIn:
		return stepOther
	case opened.NeedsMailedLink:
		return stepMailed
	case opened.AccountExists:
		return stepSignIn
	}
	return stepCreate
}

// backToInvitation leads to the invitation that somebody has signed in for.
func backToInvitation(v *visit) error {
	token := v.site.options.Cookies.Invitation(v.r)
	if token == "" || strings.Trim(token, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" {
		return fault.New(fault.NotFound, "To go on with an invitation, open its link again: the one in the mail, or the one that you were given.")
	}
	redirect(v.w, invitationBack+token+"/")
	return nil
}

func acceptInvitation(v *visit) error {
	limitReferrer(v)
	in := api.AcceptInvitation{FirstName: v.text("first_name"), LastName: v.text("last_name")}
	if v.input.Has("password") {
		password := v.value("password")
		in.Password = &password
	}
	accepted, token, err := v.vault.AcceptInvitation(v, v.who, v.path("token"), in)
	if err != nil {
		return v.again(err, showInvitation)
	}
	v.site.options.Cookies.DropInvitation(v.w)
	if token.Len() > 0 {
		if err := v.startSession(token); err != nil {
			return err
		}
	}
	return v.done("/projects/"+accepted.Project.Slug+"/", "invitation-accepted")
}
