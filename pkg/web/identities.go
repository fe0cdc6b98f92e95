package web

import (
	"errors"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const identitiesPage = "/account/identities/"

func identityRoutes() []route {
	return []route{
		{method: get, pattern: identitiesPage, action: vault.ActionListIdentities, serve: showIdentities},
		{method: post, pattern: identitiesPage, action: vault.ActionLinkIdentity, serve: linkIdentity},
		{method: post, pattern: identitiesPage + "{identity}/unlink/", action: vault.ActionUnlinkIdentity, serve: unlinkIdentity},
	}
}

type identitiesData struct {
	accountNav
	Identities   []api.Identity
	CanLink      bool // single sign-on is in force
	HasPassword  bool
	SecondFactor bool
}

// showIdentities is a page of servers with single sign-on, and of who is linked to a
// provider from a time in which there was one.
func showIdentities(v *visit) error {
	all, err := v.vault.Identities(v, v.who)
	if err != nil {
		return err
	}
	data := identitiesData{Identities: all.Results, CanLink: v.site.options.SSO() != nil}
	data.Linked = len(all.Results) > 0
	if !data.CanLink && !data.Linked {
		return errNoPage
	}
	me, err := v.vault.WhoAmI(v, v.who)
	if err != nil {
		return err
	}
	data.HasPassword, data.SecondFactor = me.HasPassword, me.SecondFactor != nil && *me.SecondFactor
	return v.show(page{Template: "identities", Title: "Single sign-on", Section: "identities", Data: data})
}

// linkIdentity sends the browser to the identity provider; it comes back to
// finishSSO.
func linkIdentity(v *visit) error {
	sso := v.site.options.SSO()
	if sso == nil {
		return errSSOOff
	}
	redirectURI, err := sso.Provider.RedirectURI(v.who.Request.Origin)
	if err != nil {
		return err
	}
	cookies := v.site.options.Cookies
	attempt, err := v.vault.BeginLink(v, v.who, cookies.Attempt(v.r), api.LinkIdentity{
		CurrentPassword: v.value("current_password"), Code: v.value("code"), Next: identitiesPage,
	})
	if err != nil {
		return v.again(err, showIdentities)
	}
	cookies.BeginAttempt(v.w, attempt.Browser)
	target := sso.Provider.AuthorizationURL(attempt.State.Reveal(), attempt.Nonce.Reveal(), attempt.Verifier.Reveal(), redirectURI)
	return v.leave(target, "On to your identity provider", "Sign in there with the account that is to open this one. You come back afterwards.")
}

func unlinkIdentity(v *visit) error {
	err := v.vault.Unlink(v, v.who, v.path("identity"))
	if errors.Is(err, fault.NotFound) {
		err = nil
	}
	if err != nil {
		return v.again(err, showIdentities)
	}
	if v.site.options.SSO() == nil {
		return v.done(accountPage, "identity-unlinked") // there may be no such page any more
	}
	return v.done(identitiesPage, "identity-unlinked")
}
