package vault

import (
	"context"
	"crypto/hmac"
	"errors"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Guesses are counted by the address of an account, so anybody who knows it could
// keep its person out by guessing wrong again and again, and from a network that
// many share, or whose addresses a proxy hides, everybody else as well. A browser
// from which somebody has signed in to an account with its password therefore gets a
// mark, and what is tried there for that account is counted apart: as many guesses
// as anywhere else, but its own.
//
// The mark is worth nothing else. It is a random text with a MAC over it, the
// account and its password hash: nobody makes one without having signed in, one is
// good for one account, and a new password makes all of them worthless. Nothing of
// it is stored.

// browserNonceLength is 22 base62 characters: 130 bits.
const browserNonceLength = 22

// BrowserMark is what the browser of p's session is to keep; "" if p did not come
// with a session, or has no password.
func (v *Vault) BrowserMark(p Principal) api.Value {
	if p.session == nil || p.session.ByProvider || p.user.PasswordHash == "" {
		return api.Value{}
	}
	nonce := randomBase62(browserNonceLength)
	return api.NewValue(nonce + "." + browserMAC(v.sessionKeys[0], p.user, nonce))
}

func browserMAC(key []byte, user *store.User, nonce string) string {
	return derivedText(key, "known browser", strings.Join([]string{user.ID, user.PasswordHash, nonce}, "\x00")).Reveal()
}

// loginSubjects is what the attempts to sign in to an address are counted against;
// email is canonical, or empty if what was sent can be nobody's address.
func (v *Vault) loginSubjects(ctx context.Context, r Request, email string) ([]subject, error) {
	nonce, err := v.knownBrowser(ctx, r.BrowserMark, email)
	switch {
	case err != nil:
		return nil, err
	case nonce != "":
		return []subject{browserSubject(nonce, email)}, nil
	case email == "":
		return []subject{networkSubject(r.IP)}, nil
	}
	return []subject{networkSubject(r.IP), accountSubject(email)}, nil
}

// knownBrowser is the random text of a mark, if it is one for the account of this
// address; else "". Whether there is an account shows in nothing: without one the
// same is done.
func (v *Vault) knownBrowser(ctx context.Context, mark, email string) (nonce string, err error) {
	nonce, sent, _ := strings.Cut(mark, ".")
	if !isBase62(nonce, browserNonceLength) {
		return "", nil
	}
	user, err := v.store.UserByEmail(ctx, email)
	if errors.Is(err, fault.NotFound) {
		user, err = new(store.User), nil
	}
	if err != nil {
		return "", err
	}
	for _, key := range v.sessionKeys {
		if hmac.Equal([]byte(sent), []byte(browserMAC(key, user, nonce))) && user.PasswordHash != "" {
			return nonce, nil
		}
	}
	return "", nil
}

// browserSubject counts what is tried for an account in a browser that is known.
func browserSubject(nonce, email string) subject {
	return subject{name: "browser:" + nonce, about: email, rule: guesses(guessesOfAccount), ownedBySuccess: true}
}
