package session

import (
	"net/http"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
)

// AttemptCookieName is the cookie that binds a sign-in at the identity provider to
// the browser that began it. The way back from the provider is a navigation from
// another site, so it must be Lax, as the session is.
const (
	AttemptCookieName = "heartlock_sso"
	AttemptPath       = "/oidc/"

	attemptCookieLife = 10 * time.Minute
)

// Attempt is the value of the cookie that a request brings, or "".
func (c *Cookies) Attempt(r *http.Request) string { return valueOf(r, c.attempt()) }

// BeginAttempt hands the cookie to the browser.
func (c *Cookies) BeginAttempt(w http.ResponseWriter, browser api.Value) {
	give(w, c.attempt(), browser, attemptCookieLife)
}

func (c *Cookies) attempt() http.Cookie {
	return c.hosted(AttemptCookieName, AttemptPath, http.SameSiteLaxMode)
}

// BrowserCookieName is the cookie by which a browser is known that somebody has
// signed in from with his password: see Vault.BrowserMark. It outlives the session.
const (
	BrowserCookieName = "heartlock_browser"

	browserCookieLife = 90 * 24 * time.Hour
)

// Browser is the value of the cookie that a request brings, or "".
func (c *Cookies) Browser(r *http.Request) string { return valueOf(r, c.browser()) }

// RememberBrowser hands the cookie to the browser.
func (c *Cookies) RememberBrowser(w http.ResponseWriter, mark api.Value) {
	give(w, c.browser(), mark, browserCookieLife)
}

func (c *Cookies) browser() http.Cookie {
	return c.hosted(BrowserCookieName, "/", http.SameSiteStrictMode)
}

// NoticeCookieName is the cookie by which a page says once what has just been done.
const (
	NoticeCookieName = "heartlock_notice"

	noticeCookieLife = time.Minute
)

// LeaveNotice has the next page say the notice of this name. The cookie holds a
// name, and never a text: a text could be planted.
func (c *Cookies) LeaveNotice(w http.ResponseWriter, name string) {
	give(w, c.notice(), api.NewValue(name), noticeCookieLife)
}

// TakeNotice is the name of the notice that is to be said now, or ""; the cookie is
// taken away.
func (c *Cookies) TakeNotice(w http.ResponseWriter, r *http.Request) string {
	name := valueOf(r, c.notice())
	if name != "" {
		give(w, c.notice(), api.NewValue(""), -time.Second)
	}
	return name
}

func (c *Cookies) notice() http.Cookie {
	return c.hosted(NoticeCookieName, "/", http.SameSiteLaxMode)
}

// hosted is a cookie of a name of our own. Over https the name has the prefix
// "__Host-" (RFC 6265bis 4.1.3.2): browsers take such a cookie from this very host
// and over https only. Otherwise whoever has a sibling domain, or is in the way of a
// request over plain http, could plant one of his own, and with it sign a person in
// to his account. The prefix demands the path "/".
func (c *Cookies) hosted(name, path string, site http.SameSite) http.Cookie {
	if c.SessionSecure {
		name, path = "__Host-"+name, "/"
	}
	return http.Cookie{ //nolint:gosec // Secure follows the settings, which force it in production
		Name: name, Path: path, HttpOnly: true, SameSite: site, Secure: c.SessionSecure,
	}
}

func give(w http.ResponseWriter, cookie http.Cookie, value api.Value, life time.Duration) { //nolint:gosec // the attributes are hosted's
	cookie.Value, cookie.MaxAge = value.Reveal(), int(life.Seconds())
	http.SetCookie(w, &cookie)
}

func valueOf(r *http.Request, cookie http.Cookie) string {
	sent, err := r.Cookie(cookie.Name)
	if err != nil {
		return ""
	}
	return sent.Value
}
