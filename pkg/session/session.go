// Package session is the browser's side of being signed in: the cookies, and
// the defence against requests that another site makes in a person's name
// (CSRF). Who a session stands for, and when it ends, is the vault's to say.
//
// The cookies keep the names and attributes of the first Heartlock. "sessionid"
// holds 256 random bits and is unreadable for scripts; "csrftoken" is readable,
// and its value must come back in the X-CSRFToken header of every unsafe
// request. It is a MAC of the session's id, so that it can not be planted from a
// sibling domain, and it is compared in constant time. Cookies of our own names are
// in hosted.go.
package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
)

// The cookies, and the header that answers the second one.
const (
	CookieName     = "sessionid"
	CSRFCookieName = "csrftoken"
	CSRFHeader     = "X-CSRFToken"
	// CSRFField is the field of a form that takes the place of the header.
	CSRFField = "csrfmiddlewaretoken"

	cookieLife     = 14 * 24 * time.Hour
	csrfCookieLife = 364 * 24 * time.Hour
)

// Cookies writes and reads the cookies and checks requests against CSRF.
type Cookies struct {
	SessionSecure bool // send sessionid over https only
	CSRFSecure    bool
	// CSRFKeys are the keys of the CSRF tokens; the first makes new ones.
	CSRFKeys [][]byte
	// Trusted are the origins that may send unsafe requests beside our own.
	Trusted config.Origins
}

// Token is the session token that a request brings, or "".
func (c *Cookies) Token(r *http.Request) string {
	cookie, err := r.Cookie(CookieName)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// Start hands the cookies of a new session to the browser.
func (c *Cookies) Start(w http.ResponseWriter, token api.Value, sessionID string) {
	http.SetCookie(w, c.session(token.Reveal(), int(cookieLife.Seconds())))
	http.SetCookie(w, c.csrf(csrfToken(c.CSRFKeys[0], sessionID), int(csrfCookieLife.Seconds())))
}

// End takes the cookies away. They carry the attributes that they were set
// with: a browser may not let go of them otherwise.
func (c *Cookies) End(w http.ResponseWriter) {
	http.SetCookie(w, c.session("", -1))
	http.SetCookie(w, c.csrf("", -1))
}

func (c *Cookies) session(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure follows the settings, which force it in production
		Name: CookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.SessionSecure,
	}
}

func (c *Cookies) csrf(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // readable on purpose: the page's script sends it back in a header
		Name: CSRFCookieName, Value: value, Path: "/", MaxAge: maxAge,
		SameSite: http.SameSiteLaxMode, Secure: c.CSRFSecure,
	}
}

// csrfTokenSize is the length of a CSRF token in bytes.
const csrfTokenSize = 16

// csrfToken is 32 hexadecimal digits of a MAC of the session's id.
func csrfToken(key []byte, sessionID string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(sessionID))
	return hex.EncodeToString(mac.Sum(nil)[:csrfTokenSize])
}

// unhex is the bytes that hexadecimal digits stand for; nil if they are none.
func unhex(digits []byte) []byte {
	decoded := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(decoded, digits); err != nil {
		return nil
	}
	return decoded
}

// Unsafe reports whether a request with this method may change something.
func Unsafe(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// CheckOrigin refuses an unsafe request that another site has made a browser
// send. It applies to every request that is not authenticated by a token, also
// to those that need no session: else a victim could be signed in to the
// attacker's account. A request without any of the headers that browsers send
// comes from another program, which has no cookies to abuse.
func (c *Cookies) CheckOrigin(r *http.Request) error {
	if !Unsafe(r.Method) {
		return nil
	}
	if origins, sent := r.Header["Origin"]; sent {
		if len(origins) == 1 && c.allowed(r, origins[0]) {
			return nil
		}
		return csrfFailed("Origin checking failed - the request's origin does not match any trusted origins.")
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return csrfFailed("Origin checking failed - the request comes from another site.")
	}
	return c.checkReferer(r)
}

// checkReferer stands in for Origin where a browser sends none: over https the
// Referer must then name our own or a trusted origin, if there is one at all.
func (c *Cookies) checkReferer(r *http.Request) error {
	referer := r.Header.Get("Referer")
	if referer == "" {
		return nil
	}
	scheme, rest, ok := strings.Cut(referer, "://")
	host, _, _ := strings.Cut(rest, "/")
	if ok && c.allowed(r, scheme+"://"+host) {
		return nil
	}
	return csrfFailed("Referer checking failed - the request's referer does not match any trusted origins.")
}

// allowed reports whether an origin is our own, as the browser addressed us, or
// a trusted one.
func (c *Cookies) allowed(r *http.Request, header string) bool {
	origin, ok := config.ParseOriginHeader(header)
	if !ok {
		return false
	}
	own, err := config.ParseOrigin(ConnectionOf(r.Context()).Scheme() + "://" + r.Host)
	return err == nil && origin == own || c.Trusted.Match(header)
}

// CheckToken refuses an unsafe request of a session that does not bring the
// session's CSRF token in its header.
func (c *Cookies) CheckToken(r *http.Request, sessionID string) error {
	if !Unsafe(r.Method) {
		return nil
	}
	if cookie, err := r.Cookie(CSRFCookieName); err != nil || cookie.Value == "" {
		return csrfFailed("CSRF cookie not set.")
	}
	return c.CheckFormToken(r.Header.Get(CSRFHeader), sessionID)
}

// FormToken is what a form of a session must send back in CSRFField: the token of the
// session under a mask that is new each time, so that pages can be compressed. From the
// lengths of compressed pages, which whoever watches the network sees, the letters of a
// text that is always the same can be found (BREACH).
func (c *Cookies) FormToken(sessionID string) string {
	mask := make([]byte, csrfTokenSize)
	_, _ = rand.Read(mask) // never fails: see crypto/rand
	token := []byte(csrfToken(c.CSRFKeys[0], sessionID))
	masked := make([]byte, csrfTokenSize)
	subtle.XORBytes(masked, mask, unhex(token))
	return hex.EncodeToString(append(mask, masked...))
}

// CheckFormToken refuses a form of a session that does not send back its token, masked
// or as it is in the cookie. No cookie is looked at: the form itself came from a page
// of the session.
func (c *Cookies) CheckFormToken(sent, sessionID string) error {
	if sent == "" {
		return csrfFailed("CSRF token missing.")
	}
	if both := unhex([]byte(sent)); len(both) == 2*csrfTokenSize {
		token := make([]byte, csrfTokenSize)
		subtle.XORBytes(token, both[:csrfTokenSize], both[csrfTokenSize:])
		sent = hex.EncodeToString(token)
	}
	for _, key := range c.CSRFKeys {
		if subtle.ConstantTimeCompare([]byte(sent), []byte(csrfToken(key, sessionID))) == 1 {
			return nil
		}
	}
	return csrfFailed("CSRF token incorrect.")
}

func csrfFailed(reason string) error {
	return fault.New(fault.Forbidden, "CSRF Failed: "+reason)
}
