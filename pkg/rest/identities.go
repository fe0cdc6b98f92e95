package rest

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/oidc"
	"github.com/heartlock/heartlock/pkg/vault"
)

func identityRoutes() []Route {
	return []Route{
		define(get, "/auth/identities/", vault.ActionListIdentities, ok, "The accounts at identity providers that open one's account.", listIdentities),
		define(post, "/auth/identities/", vault.ActionLinkIdentity, ok, "Begin to link an account at the identity provider; the answer says where the browser has to go.", linkIdentity),
		define(remove, "/auth/identities/{id}/", vault.ActionUnlinkIdentity, noContent, "Unlink an account at an identity provider.", unlinkIdentity),
	}
}

func listIdentities(c *call, in page) (api.Page[api.Identity], error) {
	all, err := c.api.vault.Identities(c, c.who)
	if err != nil {
		return all, err
	}
	return cut(all, in, func(i api.Identity) string { return i.ID })
}

// linkIdentity begins what the callback page ends: see package web.
func linkIdentity(c *call, in withBody[api.LinkIdentity]) (api.Redirect, error) {
	provider := c.api.provider()
	if provider == nil {
		return api.Redirect{}, fault.New(fault.NotFound, "Single sign-on is not available on this server.")
	}
	redirectURI, err := provider.RedirectURI(c.who.Request.Origin)
	if err != nil {
		return api.Redirect{}, err
	}
	attempt, err := c.api.vault.BeginLink(c, c.who, c.api.cookies.Attempt(c.r), in.Body)
	if err != nil {
		return api.Redirect{}, err
	}
	c.api.cookies.BeginAttempt(c.w, attempt.Browser)
	return api.Redirect{Redirect: provider.AuthorizationURL(
		attempt.State.Reveal(), attempt.Nonce.Reveal(), attempt.Verifier.Reveal(), redirectURI)}, nil
}

func unlinkIdentity(c *call, in idRef) (empty, error) {
	return empty{}, c.api.vault.Unlink(c, c.who, in.ID)
}

// provider is the identity provider in use, or nil.
func (a *API) provider() *oidc.Provider {
	if a.options.Provider == nil {
		return nil
	}
	return a.options.Provider()
}

// logout ends the session here, before anything else. One that began at the
// identity provider has to end there too, or the next click on "sign in" would
// undo this one: the answer then says where the browser has to go.
func logout(c *call, _ nothing) (api.Redirect, error) {
	if err := c.api.vault.Logout(c, c.who); err != nil {
		return api.Redirect{}, err
	}
	c.api.cookies.End(c.w)
	if provider := c.api.provider(); provider != nil && c.who.ByProvider() {
		if target := provider.LogoutURL(c.api.vault.HomeURL(c.who)); target != "" {
			c.status = ok
			return api.Redirect{Redirect: target}, nil
		}
	}
	return api.Redirect{}, nil
}
