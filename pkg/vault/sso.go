package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// A sign-in at the identity provider has two halves, which may be served by two
// servers. BeginSSO notes the attempt and gives what the browser takes along;
// TakeSSO ends the attempt when the browser is back, once and for all; between the
// two the caller asks the provider who it is, and FinishSSO (ssofinish.go) decides
// whose session begins.
//
// What would be secret of an attempt is not stored. The database holds digests of
// the state and of the cookie that binds it to one browser; nonce and PKCE verifier
// are derived from the state with a key of the server.

// ssoLife is how long a browser may be away.
const ssoLife = 10 * time.Minute

// ssoTextLength is 43 base62 characters: 256 bits.
const ssoTextLength = 43

var (
	errSSOState = fault.New(fault.Invalid, "This sign-in has run out, was used already, or began in another browser. Start again.")
	errSSOOff   = fault.New(fault.NotFound, "Single sign-on is not available on this server.")
)

// SSOAttempt is what a sign-in at the identity provider begins with.
type SSOAttempt struct {
	State    api.Value // goes to the provider and comes back
	Browser  api.Value // the value of the cookie that binds the attempt to the browser
	Nonce    api.Value // stands in the ID token
	Verifier api.Value // of PKCE; only its digest goes to the provider
}

// SSOReturn is an attempt whose browser has come back.
type SSOReturn struct {
	Nonce    api.Value
	Verifier api.Value
	Next     string // path to go on to
	linking  *string
}

// Linking reports whether the attempt is to link an identity to the account that is
// signed in, rather than to sign in.
func (r SSOReturn) Linking() bool { return r.linking != nil }

// BeginSSO begins a sign-in at the identity provider. browser is the value of the
// browser's cookie from an earlier attempt, or "": a second attempt in another tab
// must not end the first. next is where to go afterwards; it is held to be a path
// of this server (see api.LocalPath).
//
// It is fault.NotFound while the first run is not finished: a provider opens no
// server that nobody owns. If too many were begun from the network, it is
// fault.TooManyRequests for a while.
func (v *Vault) BeginSSO(ctx context.Context, p Principal, browser, next string) (SSOAttempt, error) {
	if _, err := admit(p, ActionLogin); err != nil {
		return SSOAttempt{}, err
	}
	return v.beginAttempt(ctx, p, browser, next, func(ctx context.Context, do func(context.Context, store.Tx, *string) error) error {
		return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error { return do(ctx, tx, nil) })
	})
}

// beginAttempt notes an attempt in the transaction that write makes; write says
// whose account it is to be linked to, if any.
func (v *Vault) beginAttempt(ctx context.Context, p Principal, browser, next string,
	write func(context.Context, func(context.Context, store.Tx, *string) error) error,
) (SSOAttempt, error) {
	if err := v.ssoReady(ctx); err != nil {
		return SSOAttempt{}, err
	}
	// Every attempt is a row until it has run out, and nobody has to be known for
	// one. What was begun counts, whatever becomes of it: the trial has no end.
	if _, err := v.beginTrial(ctx, p, ActionLogin, ssoSubject(p.Request.IP)); err != nil {
		return SSOAttempt{}, err
	}
	if !isBase62(browser, ssoTextLength) {
		browser = randomBase62(ssoTextLength)
	}
	key, state := v.ssoKeys[0], randomBase62(ssoTextLength)
	now := v.micros()
	err := write(ctx, func(ctx context.Context, tx store.Tx, linking *string) error {
		if err := tx.DeleteSignInAttempts(ctx, now-micros(ssoLife)); err != nil {
			return err
		}
		return tx.InsertSignInAttempt(ctx, &store.SignInAttempt{
			StateDigest: derive(key, "state", state), BrowserDigest: derive(key, "browser", browser),
			UserID: linking, Next: api.LocalPath(next), CreatedAt: now,
		})
	})
	if err != nil {
		return SSOAttempt{}, err
	}
	return SSOAttempt{
		State: api.NewValue(state), Browser: api.NewValue(browser), Nonce: derivedText(key, "nonce", state), Verifier: derivedText(key, "verifier", state),
	}, nil
}

// TakeSSO ends the attempt that the browser comes back from. It is fault.Invalid
// if there is none with this state, if it began in another browser, more than ten
// minutes ago, or was taken before. An attempt is used up by the first who brings
// its state, also if the rest is wrong.
func (v *Vault) TakeSSO(ctx context.Context, p Principal, state, browser string) (SSOReturn, error) {
	if _, err := admit(p, ActionLogin); err != nil {
		return SSOReturn{}, err
	}
	if err := v.ssoReady(ctx); err != nil {
		return SSOReturn{}, err
	}
	if !isBase62(state, ssoTextLength) || !isBase62(browser, ssoTextLength) {
		return SSOReturn{}, errSSOState
	}
	for _, key := range v.ssoKeys {
		attempt, err := v.takeAttempt(ctx, derive(key, "state", state))
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return SSOReturn{}, err
		}
		if subtle.ConstantTimeCompare(attempt.BrowserDigest, derive(key, "browser", browser)) != 1 || attempt.CreatedAt+micros(ssoLife) <= v.micros() {
			return SSOReturn{}, errSSOState
		}
		return SSOReturn{
			Nonce: derivedText(key, "nonce", state), Verifier: derivedText(key, "verifier", state), Next: attempt.Next, linking: attempt.UserID,
		}, nil
	}
	return SSOReturn{}, errSSOState
}

// takeAttempt looks before it writes: a flood of states that there are none of is
// to cost little.
func (v *Vault) takeAttempt(ctx context.Context, digest []byte) (attempt *store.SignInAttempt, err error) {
	found, err := v.store.HasSignInAttempt(ctx, digest)
	if err == nil && !found {
		err = fault.NotFound
	}
	if err != nil {
		return nil, err
	}
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		attempt, err = tx.TakeSignInAttempt(ctx, digest)
		return err
	})
	return attempt, err
}

// ssoReady refuses while there can be no single sign-on.
func (v *Vault) ssoReady(ctx context.Context) error {
	if !v.ssoEnabled() || len(v.ssoKeys) == 0 {
		return errSSOOff
	}
	done, err := v.Onboarded(ctx)
	if err == nil && !done {
		err = errSSOOff
	}
	return err
}

// derive is a MAC of a text for one purpose.
func derive(key []byte, purpose, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose + "\x00" + text))
	return mac.Sum(nil)
}

// derivedText is 43 characters of the alphabet of PKCE verifiers (RFC 7636 4.1).
func derivedText(key []byte, purpose, text string) api.Value {
	return api.NewValue(base64.RawURLEncoding.EncodeToString(derive(key, purpose, text)))
}

func isBase62(text string, length int) bool {
	if len(text) != length {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
