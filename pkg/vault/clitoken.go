package vault

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// The answers to a command line that gets no token. Of a code they do not tell whether
// it is wrong, used or expired, or whether whoever agreed may not do so any more.
var (
	errBadCode = refuseCLI(api.ErrorInvalidGrant, 0,
		"This sign-in can not be finished: it has expired, was finished already, or began elsewhere. Start again with `heartlock login`.")
	errDeviceExpired = refuseCLI(api.ErrorExpiredToken, 0,
		"This sign-in has expired, was finished already, or its person has signed out. Start again with `heartlock login --device`.")
	errDevicePending = refuseCLI(api.ErrorAuthorizationPending, deviceInterval,
		"Nobody has agreed to this sign-in yet. Open the page, and type the code.")
	errDeviceTooSoon = refuseCLI(api.ErrorSlowDown, 2*deviceInterval,
		"This was asked too soon. Wait five seconds longer than before between two requests.")
	errDeviceDenied = refuseCLI(api.ErrorAccessDenied, 0, "This sign-in was refused in the browser.")
)

func refuseCLI(code string, wait time.Duration, message string) *fault.Error {
	return &fault.Error{Kind: fault.Invalid, Code: code, RetryAfter: wait, Message: message}
}

// Bounds of a verifier by RFC 7636, section 4.1.
const (
	minVerifier = 43
	maxVerifier = 128
)

// ExchangeCLIToken ends a sign-in of the command line: for a code and the verifier to
// it, or for a device code that somebody has agreed to, it gives a personal token of
// that person. It is in this answer only; it is one of his tokens like any other. If he
// has never used his account from there, he gets a mail. It needs no credential.
//
// Each code serves once, on whichever server, and not if its person was deactivated, or
// the session in which he agreed has ended, as all do when he changes his password. A
// code that comes with a wrong verifier is used up too, which is recorded. The refusals
// are fault.Invalid, with a Code that says what to do: see api.CLIToken.
func (v *Vault) ExchangeCLIToken(ctx context.Context, p Principal, in api.CLITokenRequest) (api.CLIToken, error) {
	if _, err := admit(p, ActionMakeCLIToken); err != nil {
		return api.CLIToken{}, err
	}
	if in.DeviceCode.Len() == 0 {
		return v.exchangeCode(ctx, p, in)
	}
	if in.Code.Len() > 0 || in.CodeVerifier.Len() > 0 {
		return api.CLIToken{}, fault.InvalidField("body.device_code", "is for a request of its own, without code and code_verifier")
	}
	if !isBase62(in.DeviceCode.Reveal(), cliTextLength) {
		return api.CLIToken{}, fault.InvalidField("body.device_code", "is not one that this server has made")
	}
	return v.exchangeDevice(ctx, p, digestOf(in.DeviceCode.Reveal()))
}

// exchangeCode looks before it writes: a flood of codes that there are none of is to
// cost little.
func (v *Vault) exchangeCode(ctx context.Context, p Principal, in api.CLITokenRequest) (answer api.CLIToken, err error) {
	if !isBase62(in.Code.Reveal(), cliTextLength) {
		return answer, fault.InvalidField("body.code", "is not one that this server has made")
	}
	if !isVerifier(in.CodeVerifier.Reveal()) {
		return answer, fault.InvalidField("body.code_verifier", "must be 43 to 128 letters, digits or -._~ (RFC 7636)")
	}
	digest := digestOf(in.Code.Reveal())
	if _, err := v.store.CLILoginByDigest(ctx, digest, v.micros()); err != nil {
		return answer, insteadOfNotFound(err, errBadCode)
	}
	var stolen bool
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		answer, stolen, err = v.takeCode(ctx, tx, p, digest, in.CodeVerifier)
		return err
	})
	if err == nil && stolen {
		err = errBadCode
	}
	return answer, err
}

// takeCode uses the code up, also if the verifier shows that it was stolen.
func (v *Vault) takeCode(ctx context.Context, tx store.Tx, p Principal, digest []byte, verifier api.Value) (answer api.CLIToken, stolen bool, err error) {
	found, err := tx.CLILoginByDigest(ctx, digest, v.micros())
	if err != nil {
		return answer, false, insteadOfNotFound(err, errBadCode)
	}
	who, err := v.holdGrant(ctx, tx, p, found.UserID, found.SessionID)
	if err != nil {
		return answer, false, insteadOfNotFound(err, errBadCode)
	}
	login, err := tx.TakeCLILogin(ctx, digest, v.micros())
	if err != nil {
		return answer, false, insteadOfNotFound(err, errBadCode)
	}
	if !answersChallenge(verifier, login.CodeChallenge) {
		return answer, true, v.record(ctx, tx, who, event{
			action: ActionMakeCLIToken, outcome: outcomeRefused, target: cliTokenName(login.Machine), detail: map[string]string{"reason": "verifier"},
		})
	}
	answer, err = v.makeCLIToken(ctx, tx, who, login.Machine, login.LifetimeDays, "browser")
	return answer, false, err
}

// exchangeDevice answers a command line that waits. Who asks too soon is told so
// before anything is written.
func (v *Vault) exchangeDevice(ctx context.Context, p Principal, digest []byte) (answer api.CLIToken, err error) {
	row, err := v.store.DeviceLogin(ctx, digest, v.micros())
	if err != nil {
		return answer, insteadOfNotFound(err, errDeviceExpired)
	}
	soon := v.micros() - micros(deviceInterval-deviceJitter)
	if row.LastPollAt != nil && *row.LastPollAt > soon {
		return answer, errDeviceTooSoon
	}
	if row.State == store.DeviceApproved {
		err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
			answer, err = v.takeDevice(ctx, tx, p, row)
			return insteadOfNotFound(err, errDeviceExpired)
		})
		return answer, err
	}
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error { return tx.NotePoll(ctx, digest, v.micros(), soon) })
	switch {
	case err != nil:
		return answer, insteadOfNotFound(err, errDeviceTooSoon)
	case row.State == store.DeviceDenied:
		return answer, errDeviceDenied
	}
	return answer, errDevicePending
}

// takeDevice uses up a device authorization that somebody has agreed to.
func (v *Vault) takeDevice(ctx context.Context, tx store.Tx, p Principal, row *store.DeviceLogin) (answer api.CLIToken, err error) {
	who, err := v.holdGrant(ctx, tx, p, *row.UserID, *row.SessionID)
	if err != nil {
		return answer, err
	}
	if err := tx.TakeDeviceLogin(ctx, row.DeviceDigest, v.micros()); err != nil {
		return answer, err
	}
	return v.makeCLIToken(ctx, tx, who, row.Machine, row.LifetimeDays, "device")
}

// holdGrant makes sure that a person is active and the session in which he agreed has
// not ended, and keeps both so until the transaction ends; else it is fault.NotFound. It
// returns him as the one who did it with that session, from where p asks.
func (v *Vault) holdGrant(ctx context.Context, tx store.Tx, p Principal, userID, sessionID string) (Principal, error) {
	user, err := tx.UserByID(ctx, userID) // locks it: see store.Tx.TakeCLILogin
	if err != nil {
		return Principal{}, err
	}
	session := &store.Session{ID: sessionID, UserID: userID}
	return Principal{Request: p.Request, user: user, session: session}, tx.HoldSession(ctx, sessionID, v.micros())
}

// makeCLIToken makes the token, in the transaction that has locked the person's row and
// used the sign-in up.
func (v *Vault) makeCLIToken(ctx context.Context, tx store.Tx, who Principal, machine string, days int, by string) (api.CLIToken, error) {
	name := cliTokenName(machine)
	expires, text := v.now().AddDate(0, 0, days), newToken()
	row := v.tokenRow(who, text, name, &expires)
	row.UserID = &who.user.ID
	e := event{action: ActionMakeCLIToken, target: name, detail: map[string]string{"by": by}}
	if err := v.insertToken(ctx, tx, who, row, nil, e); err != nil {
		return api.CLIToken{}, err
	}
	if err := v.tellOfCLI(ctx, tx, who, name); err != nil {
		return api.CLIToken{}, err
	}
	return api.CLIToken{
		Token: text, ID: row.ID, Name: name, Prefix: row.Prefix, ExpiresAt: timeOf(row.ExpiresAt), Email: who.user.Email,
	}, nil
}

// tellOfCLI tells a person of a command line that has signed in from where his account
// was not used from before.
func (v *Vault) tellOfCLI(ctx context.Context, tx store.Tx, who Principal, token string) error {
	now, r := v.micros(), who.Request
	known, err := v.seePlace(ctx, tx, r, who.user, now)
	if err != nil || known {
		return err
	}
	return v.notify(ctx, tx, who.user.Email, mail.NewSignIn{At: now.Time(), IP: addressText(r.IP), UserAgent: clip(r.UserAgent), Token: token})
}

// isVerifier reports whether a text can be a verifier of PKCE at all.
func isVerifier(text string) bool {
	if len(text) < minVerifier || len(text) > maxVerifier {
		return false
	}
	for i := range len(text) {
		c := text[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '.' && c != '_' && c != '~' {
			return false
		}
	}
	return true
}

// answersChallenge compares by RFC 7636, section 4.6, method S256.
func answersChallenge(verifier api.Value, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// insteadOfNotFound is another error in place of fault.NotFound.
func insteadOfNotFound(err, other error) error {
	if errors.Is(err, fault.NotFound) {
		return other
	}
	return err
}
