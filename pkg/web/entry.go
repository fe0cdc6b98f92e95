package web

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// entryRoutes are the ways in and out.
func (s *Site) entryRoutes() []route {
	table := []route{
		{method: get, pattern: "/", action: vault.ActionMeta, serve: showHome},
		{method: get, pattern: signInPage, action: vault.ActionLogin, serve: showSignIn},
		{method: post, pattern: signInPage, action: vault.ActionLogin, serve: signIn},
		{method: post, pattern: "/logout/", action: vault.ActionLogout, serve: signOut},
	}
	for _, part := range [][]route{firstRunRoutes(), passwordResetRoutes(), invitationLinkRoutes()} {
		table = append(table, part...)
	}
	return table
}

// showHome sends everybody to where he wants to be.
func showHome(v *visit) error {
	if !v.who.IsAnonymous() {
		redirect(v.w, "/projects/")
		return nil
	}
	if waits, err := v.firstRunWaits(); err != nil || waits {
		return err
	}
	redirect(v.w, signInPage)
	return nil
}

// firstRunWaits sends the browser to the first run while that is not finished: there
// is nobody yet who could sign in.
func (v *visit) firstRunWaits() (bool, error) {
	done, err := v.vault.Onboarded(v)
	if err != nil || done {
		return false, err
	}
	redirect(v.w, firstRunPage)
	return true, nil
}

// limitReferrer keeps the address of a page that holds a secret from everything that
// the page asks for or leads to. It is not "no-referrer": of a form on such a page
// browsers say that it comes from the origin "null" (Fetch, "append a request `Origin`
// header"), and what comes from there is refused.
func limitReferrer(v *visit) { v.w.Header().Set("Referrer-Policy", "strict-origin") }

type signInForm struct {
	Next   string
	Factor bool // the code of the second factor is asked for
	// Mistaken: it may be that the password is forgotten.
	Mistaken bool
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
	if waits, err := v.firstRunWaits(); err != nil || waits {
		return err
	}
	data := signInForm{Next: next}
	if v.problems != nil {
		data.Factor = v.problems.err.SecondFactor
		data.Mistaken = !data.Factor
	}
	return v.show(page{Template: "sign-in", Title: "Sign in", Plain: true, Data: data})
}

func signIn(v *visit) error {
	v.who.Request.BrowserMark = v.site.options.Cookies.Browser(v.r)
	_, token, err := v.vault.Login(v, v.who, api.LoginRequest{
		Email: v.text("email"), Password: v.value("password"), Code: v.value("code"),
	})
	if err != nil {
		return v.again(inForm(err, v.value("code").Len() > 0), showSignIn)
	}
	if err := v.startSession(token); err != nil {
		return err
	}
	redirect(v.w, api.LocalPath(v.input.Get("next")))
	return nil
}

// inForm words what is wrong with the second factor for the form that asks for it:
// the API's answer does not tell a code that is wrong from a password that is.
func inForm(err error, sent bool) error {
	f := fault.As(err)
	if f == nil || !f.SecondFactor {
		return err
	}
	words := *f
	words.Message = "This account has a second factor. Type the password once more, and the code of your authenticator app or a recovery code."
	if sent {
		words.Fields = []fault.Field{{Location: "body.code", Message: "This is not a code that serves now. Wait for the next one: each serves once."}}
	}
	return &words
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
	if back := api.LocalPath(v.input.Get("next")); back != "/" {
		return v.done(back, "signed-out")
	}
	return v.done(signInPage, "signed-out")
}
