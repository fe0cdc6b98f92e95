package session

import (
	"net/http"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
)

// AttemptCookieName is the cookie that binds a sign-in at the identity provider to
// the browser that began it. It is sent to AttemptPath only. The way back from the
// provider is a navigation from another site, so it must be Lax, as the session
// is.
const (
	AttemptCookieName = "heartlock_sso"
	AttemptPath       = "/oidc/"

	attemptCookieLife = 10 * time.Minute
)

// Attempt is the value of the cookie that a request brings, or "".
func (c *Cookies) Attempt(r *http.Request) string {
	cookie, err := r.Cookie(AttemptCookieName)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// BeginAttempt hands the cookie to the browser.
func (c *Cookies) BeginAttempt(w http.ResponseWriter, browser api.Value) {
	http.SetCookie(w, c.attempt(browser.Reveal(), int(attemptCookieLife.Seconds())))
}

func (c *Cookies) attempt(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure follows the settings, which force it in production
		Name: AttemptCookieName, Value: value, Path: AttemptPath, MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.SessionSecure,
	}
}
