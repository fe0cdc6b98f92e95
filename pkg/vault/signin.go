package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// signInMethod is how a person has proved who he is. It stands in the audit trail.
type signInMethod string

// The ways to sign in.
const (
	byPassword   signInMethod = "password"
	byProvider   signInMethod = "sso"
	byInvitation signInMethod = "invitation" // the account was created with it
)

// beginSession signs a person in: it is the one place where a session begins.
// The session that p came with ends, so that nobody can be made to use one that
// another knows; the new one's token is returned. The sign-in is recorded, and if
// it is from a place that the account was not used from before, its person gets
// a mail. Of more sessions than maxSessions the oldest end.
//
// It is called in the transaction that has locked the user's row (tx.UserByID, or
// its insertion) and found it active. How the person proved who he is, and
// whether a second factor was due, is the caller's business.
func (v *Vault) beginSession(ctx context.Context, tx store.Tx, p Principal, user *store.User, how signInMethod) (api.Value, error) {
	if err := v.endFormerSession(ctx, tx, p); err != nil {
		return api.Value{}, err
	}
	now := v.micros()
	isFirst := user.LastLoginAt == nil
	if err := v.notePlace(ctx, tx, p.Request, user, isFirst, now); err != nil {
		return api.Value{}, err
	}
	signedIn := *user
	signedIn.LastLoginAt = &now
	if err := tx.UpdateUser(ctx, &signedIn, "last_login_at"); err != nil {
		return api.Value{}, err
	}
	token := api.NewValue(randomBase62(sessionTokenLength))
	session := v.newSession(p, user.ID, token, now)
	session.ByProvider = how == byProvider
	if err := tx.InsertSession(ctx, session); err != nil {
		return api.Value{}, err
	}
	if err := tx.KeepNewestSessions(ctx, user.ID, maxSessions); err != nil {
		return api.Value{}, err
	}
	who := Principal{Request: p.Request, user: &signedIn}
	err := v.record(ctx, tx, who, event{action: ActionLogin, target: user.Email, detail: map[string]string{"by": string(how)}})
	return token, err
}

// maxSessions is how many sessions a person has at once: far more than browsers, and
// few enough that a program which signs in for every request fills no table.
const maxSessions = 100

// placeLife is how long a place is remembered that nobody signs in from.
const placeLife = 90 * 24 * time.Hour

// notePlace remembers where a person signs in from, and tells him of a place that
// is new. Of his very first sign-in there is nothing to tell.
func (v *Vault) notePlace(ctx context.Context, tx store.Tx, r Request, user *store.User, isFirst bool, now store.Micros) error {
	known, err := v.seePlace(ctx, tx, r, user, now)
	if err != nil || known || isFirst {
		return err
	}
	return v.notify(ctx, tx, user.Email, mail.NewSignIn{At: now.Time(), IP: addressText(r.IP), UserAgent: clip(r.UserAgent)})
}

// seePlace remembers a place, and reports whether it was known.
func (v *Vault) seePlace(ctx context.Context, tx store.Tx, r Request, user *store.User, now store.Micros) (known bool, err error) {
	digests := make([][]byte, len(v.sessionKeys))
	for i, key := range v.sessionKeys {
		digests[i] = placeDigest(key, r)
	}
	return tx.SeePlace(ctx, user.ID, digests, now)
}

// notify tells a person what has happened to his account. Without an encryption
// key no mail can wait, and then this is no reason to refuse what he asked for.
func (v *Vault) notify(ctx context.Context, tx store.Tx, recipient string, m mail.Message) error {
	if v.currentRing() == nil {
		return nil
	}
	return v.queueMail(ctx, tx, recipient, m)
}

// placeDigest stands for a place without telling it: the neighbourhood of an
// address and the kind of a browser, neither of which changes from day to day.
func placeDigest(key []byte, r Request) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("sign-in place\n" + prefixText(r.IP, 24, 48) + "\n" + browserFamily(r.UserAgent)))
	return mac.Sum(nil)
}

// prefixText is the network of an address, of so many bits by its family, or "".
// An IPv4 address is the same in whichever way it is written.
func prefixText(a netip.Addr, bits4, bits6 int) string {
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	prefix, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// browserFamily tells browsers apart as far as people do; versions change too
// often. Most name others for compatibility, so the order counts.
func browserFamily(userAgent string) string {
	for _, family := range []struct{ mark, name string }{
		{"heartlock", "heartlock"},
		{"Edg", "Edge"},
		{"OPR/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Chromium/", "Chrome"},
		{"Safari/", "Safari"},
	} {
		if strings.Contains(userAgent, family.mark) {
			return family.name + " " + platform(userAgent)
		}
	}
	return "other"
}

// platform is the operating system that a browser says it runs on.
func platform(userAgent string) string {
	for _, mark := range []string{"Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux"} {
		if strings.Contains(userAgent, mark) {
			return mark
		}
	}
	return "other"
}
