package web

import (
	"net/http"
	"net/url"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/oidc"
	"github.com/heartlock/heartlock/pkg/vault"
)

var errSSOOff = fault.New(fault.NotFound, "Single sign-on is not available on this server. Sign in with your password.")

func (s *Site) ssoRoutes() []route {
	return []route{
		{method: get, pattern: "/oidc/login/", action: vault.ActionLogin, serve: s.beginSSO, acts: true},
		{method: get, pattern: "/oidc/callback/", action: vault.ActionLogin, serve: s.finishSSO, acts: true},
	}
}

// beginSSO sends the browser to the identity provider: GET /oidc/login/?next=/path
func (s *Site) beginSSO(v *visit) error {
	sso := s.options.SSO()
	if sso == nil {
		return errSSOOff
	}
	redirectURI, err := sso.Provider.RedirectURI(v.who.Request.Origin)
	if err != nil {
		return err
	}
	attempt, err := v.vault.BeginSSO(v, v.who, s.options.Cookies.Attempt(v.r), v.query("next"))
	if err != nil {
		return err
	}
	s.options.Cookies.BeginAttempt(v.w, attempt.Browser)
	redirect(v.w, sso.Provider.AuthorizationURL(
		attempt.State.Reveal(), attempt.Nonce.Reveal(), attempt.Verifier.Reveal(), redirectURI))
	return nil
}

// finishSSO takes the browser back from the identity provider (RFC 6749 4.1.2).
// The attempt is ended first: whatever is wrong with the rest, nobody comes with
// this state again.
func (s *Site) finishSSO(v *visit) error {
	sso := s.options.SSO()
	if sso == nil {
		return errSSOOff
	}
	query := v.r.URL.Query()
	back, err := v.vault.TakeSSO(v, v.who, query.Get("state"), s.options.Cookies.Attempt(v.r))
	if err != nil {
		return err
	}
	identity, err := exchange(v.r, sso.Provider, v.who.Request.Origin, query, back)
	if err != nil {
		return err
	}
	token, err := v.vault.FinishSSO(v, v.who, back, vault.SSOIdentity(identity), sso.CreateUnknownUser)
	if err != nil {
		return err
	}
	if back.Linking() {
		return v.done(back.Next, "identity-linked")
	}
	if err := v.startSession(token); err != nil {
		return err
	}
	redirect(v.w, back.Next)
	return nil
}

// exchange asks the provider who has come back.
func exchange(r *http.Request, provider *oidc.Provider, origin string, query url.Values, back vault.SSOReturn) (oidc.Identity, error) {
	if err := refusalOf(query); err != nil {
		return oidc.Identity{}, err
	}
	if !provider.IssuedBy(query.Get("iss")) {
		return oidc.Identity{}, fault.New(fault.Invalid, "This answer comes from another identity provider than the one that was asked. Start again.")
	}
	code := query.Get("code")
	if code == "" {
		return oidc.Identity{}, fault.New(fault.Invalid, "The identity provider sent no code. Start again.")
	}
	redirectURI, err := provider.RedirectURI(origin)
	if err != nil {
		return oidc.Identity{}, err
	}
	return provider.Exchange(r.Context(), code, back.Verifier.Reveal(), back.Nonce.Reveal(), redirectURI)
}

// refusalOf words the error that the provider sends a browser back with. Only the
// codes of the standards are shown: the rest of the address can be anyone's text.
func refusalOf(query url.Values) error {
	if !query.Has("error") {
		return nil
	}
	switch code := oidc.KnownErrorCode(query.Get("error")); code {
	case "":
		return fault.New(fault.Forbidden, "The identity provider did not sign you in.")
	case "access_denied":
		return fault.New(fault.Forbidden, "The identity provider did not sign you in: access was denied (access_denied).")
	case "server_error", "temporarily_unavailable":
		return fault.New(fault.Unavailable, "The identity provider can not sign anyone in at the moment ("+code+"). Try again later.")
	default:
		return fault.New(fault.Forbidden, "The identity provider did not sign you in ("+code+").")
	}
}
