package session

import (
	"net/http"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
)

// InvitationCookieName is the cookie that keeps the token of an invitation's link
// while its person signs in: in an address, in which pages say where to go
// afterwards, others would see it, and a sign-in at the identity provider would write
// it into the database.
const (
	InvitationCookieName = "heartlock_invitation"

	invitationCookieLife = time.Hour
)

// Invitation is the token that a request brings, or "". Whether it is one is for the
// vault to say.
func (c *Cookies) Invitation(r *http.Request) string { return valueOf(r, c.invitation()) }

// KeepInvitation hands the token to the browser.
func (c *Cookies) KeepInvitation(w http.ResponseWriter, token api.Value) {
	give(w, c.invitation(), token, invitationCookieLife)
}

// DropInvitation takes the token away.
func (c *Cookies) DropInvitation(w http.ResponseWriter) {
	give(w, c.invitation(), api.NewValue(""), -time.Second)
}

// invitation is Lax: the way back from the identity provider is a navigation from
// another site.
func (c *Cookies) invitation() http.Cookie {
	return c.hosted(InvitationCookieName, "/invitations/", http.SameSiteLaxMode)
}
