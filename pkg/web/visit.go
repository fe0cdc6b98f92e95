package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/vault"
)

// visit is one request for a page.
type visit struct {
	context.Context
	site   *Site
	vault  *vault.Vault
	who    vault.Principal
	w      http.ResponseWriter
	r      *http.Request
	action vault.Action // that the route asks for
	// refused: that the visitor was refused something is recorded.
	refused bool
	// input is what the form has sent; nil for a GET.
	input url.Values
	// problems are what was wrong with it, when its page is shown again.
	problems *problems
	// kept: what was typed is shown again, although nothing was wrong with it.
	kept bool
}

func (s *Site) newVisit(w http.ResponseWriter, r *http.Request) *visit {
	connection := session.ConnectionOf(r.Context())
	return &visit{
		Context: r.Context(), site: s, vault: s.vault, w: w, r: r,
		who: vault.Anonymous(vault.Request{
			ID: connection.ID, IP: connection.IP, UserAgent: r.UserAgent(), Origin: connection.Origin,
		}),
	}
}

// identify finds who the browser is signed in as; an ended session is as good as
// none.
func (v *visit) identify() error {
	token := v.site.options.Cookies.Token(v.r)
	if token == "" {
		return nil
	}
	who, err := v.vault.IdentifySession(v, token, v.who.Request)
	if err != nil && fault.KindOf(err) == fault.Unauthenticated {
		return nil
	}
	if err == nil {
		v.who = who
	}
	return err
}

// path is a part of the address, as the route's pattern names it.
func (v *visit) path(name string) string { return v.r.PathValue(name) }

// query is a parameter of the address, or "".
func (v *visit) query(name string) string { return v.r.URL.Query().Get(name) }

// environment names the environment of the address.
func (v *visit) environment() vault.EnvironmentRef {
	return vault.EnvironmentRef{Project: v.path("project"), Environment: v.path("environment")}
}

// secret names the secret of the address.
func (v *visit) secret() vault.SecretRef {
	return vault.SecretRef{EnvironmentRef: v.environment(), Key: v.path("key")}
}

// done ends what a form has done: the browser goes on to a page of ours, which says
// the notice of this name once (see notices).
func (v *visit) done(path, notice string) error {
	v.site.options.Cookies.LeaveNotice(v.w, notice)
	redirect(v.w, path)
	return nil
}

// leave sends the browser to another server, by a page of its own: the answer to a
// form can not be a redirect there, because browsers hold redirects against
// form-action of the Content-Security-Policy.
func (v *visit) leave(target, title, text string) error {
	v.w.Header().Set("Referrer-Policy", "no-referrer")
	v.w.Header().Set("Refresh", "0;url="+target)
	return v.show(page{Template: "leaving", Title: title, Plain: true, Data: struct{ Target, Text string }{target, text}})
}

// startSession hands the cookies of a session that has just begun to the browser,
// and the mark by which it is known from now on.
func (v *visit) startSession(token api.Value) error {
	who, err := v.vault.IdentifySession(v, token.Reveal(), v.who.Request)
	if err != nil {
		return err
	}
	cookies := v.site.options.Cookies
	cookies.Start(v.w, token, who.SessionID())
	if mark := v.vault.BrowserMark(who); mark.Len() > 0 {
		cookies.RememberBrowser(v.w, mark)
	}
	v.who = who
	return nil
}

// address is where programs find this server, as commands to be pasted name it. While
// the server does not know its public address it is one that is seen to be an example.
func (v *visit) address() string {
	return cmp.Or(v.vault.HomeURL(v.who), "https://heartlock.example.com")
}

// now is the time that pages reckon from.
func now() time.Time { return time.Now().UTC() }

// redirect sends the browser on with a GET. What it leaves is in no Referer: the
// address of a callback holds a code.
func redirect(w http.ResponseWriter, target string) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}
