package web

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// entryRoutes are the ways in and out.
func (s *Site) entryRoutes() []route {
	return []route{
		{method: get, pattern: "/", action: vault.ActionMeta, serve: showHome},
		{method: get, pattern: signInPage, action: vault.ActionLogin, serve: showSignIn},
		{method: post, pattern: signInPage, action: vault.ActionLogin, serve: signIn},
		{method: post, pattern: "/logout/", action: vault.ActionLogout, serve: signOut},
	}
}

// showHome sends everybody to where he wants to be.
func showHome(v *visit) error {
	if v.who.IsAnonymous() {
		redirect(v.w, signInPage)
		return nil
	}
	redirect(v.w, "/projects/")
	return nil
}

type signInForm struct {
	Next   string
	Factor bool // the code of the second factor is asked for
}

func showSignIn(v *visit) error {
	next := api.LocalPath(v.query("next"))
	if v.input != nil {
		next = api.LocalPath(v.input.Get("next"))
	}
	if !v.who.IsAnonymous() {
		redirect(v.w, next)
		return nil
	}
	data := signInForm{Next: next, Factor: v.problems != nil && v.problems.err.SecondFactor}
	return v.show(page{Template: "sign-in", Title: "Sign in", Plain: true, Data: data})
}

func signIn(v *visit) error {
	v.who.Request.BrowserMark = v.site.options.Cookies.Browser(v.r)
	_, token, err := v.vault.Login(v, vault.Anonymous(v.who.Request), api.LoginRequest{
		Email: v.text("email"), Password: v.value("password"), Code: v.value("code"),
	})
	if err != nil {
		return v.again(err, showSignIn)
	}
	if err := v.startSession(token); err != nil {
		return err
	}
	redirect(v.w, api.LocalPath(v.input.Get("next")))
	return nil
}

// signOut ends the session here, and at the identity provider if it began there.
func signOut(v *visit) error {
	elsewhere := ""
	if sso := v.site.options.SSO(); sso != nil && v.who.ByProvider() {
		elsewhere = sso.Provider.LogoutURL(v.vault.HomeURL(v.who))
	}
	if err := v.vault.Logout(v, v.who); err != nil && fault.KindOf(err) != fault.Unauthenticated {
		return err
	}
	v.site.options.Cookies.End(v.w)
	if elsewhere != "" {
		v.who = vault.Anonymous(v.who.Request)
		return v.leave(elsewhere, "Signed out of Heartlock", "Your session at the identity provider is ended next.")
	}
	return v.done(signInPage, "signed-out")
}
