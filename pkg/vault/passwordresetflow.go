package vault

import (
	"context"
	"errors"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

const (
	// resetLife is how long a link serves that a person has asked for himself.
	resetLife = time.Hour
	// resetAnswer is how long the answer to such a request takes. It is more than
	// the work that there is for any address, so that the time tells nothing.
	resetAnswer = 250 * time.Millisecond
)

// errBadLink answers every link that does not serve, whatever is wrong with it.
var errBadLink = fault.New(fault.Gone,
	"This link can not be used: it has expired, was used already, or a newer one was sent. Ask for a new one on the sign-in page.")

// RequestPasswordReset sends a link to choose a new password to the address of an
// account, if there is an active one that has a password. Who signs in through an
// identity provider alone gets none: his account is the provider's business, and a
// mailbox is not to make a second way into it.
//
// For whatever address the answer and the time it takes are the same, also if too
// many links were asked for. It is recorded. Only no address at all is fault.Invalid.
func (v *Vault) RequestPasswordReset(ctx context.Context, p Principal, in api.PasswordResetRequest) error {
	if in.Email == "" {
		return fault.InvalidField("body.email", "is needed")
	}
	answer := time.NewTimer(resetAnswer)
	defer answer.Stop()
	base, err := v.link(p, "/password-reset/")
	if err != nil {
		return err
	}
	email, problem := typedEmail(in.Email)
	subjects := []subject{{name: "reset-network:" + networkName(p.Request.IP), rule: resetRule(resetsOfNetwork)}}
	if problem == "" {
		subjects = append(subjects, subject{name: "reset:" + email, rule: resetRule(resetsOfAddress)})
	}
	// What was asked for counts, whatever becomes of it: the trial has no end.
	_, err = v.beginTrial(ctx, p, ActionRequestPasswordReset, subjects...)
	if err == nil {
		err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error { return v.sendReset(ctx, tx, p, email, base) })
	}
	if err != nil && !errors.Is(err, fault.TooManyRequests) {
		return err
	}
	select {
	case <-answer.C:
	case <-ctx.Done():
	}
	return nil
}

// resetRule bounds requests: there is no block beyond the window.
func resetRule(limit int) store.ThrottleRule {
	return store.ThrottleRule{Limit: limit, Window: micros(resetWindow)}
}

// sendReset queues the mail for an account that may have one. For any other
// address the work is done as far as it can fail, so that what fails fails alike.
func (v *Vault) sendReset(ctx context.Context, tx store.Tx, p Principal, email, base string) error {
	e := event{action: ActionRequestPasswordReset, outcome: outcomeRefused, target: email}
	if email == "" {
		e.target = notAnAddress
	}
	user, err := lockedByEmail(ctx, tx, email)
	if err != nil {
		return err
	}
	if user.IsActive && user.PasswordHash != "" {
		e.outcome = outcomeSuccess
		token, err := v.newPasswordReset(ctx, tx, user, resetLife)
		if err != nil {
			return err
		}
		err = v.queueMail(ctx, tx, user.Email, v.resetMail(p, base+token+"/"))
		if err != nil {
			return err
		}
	} else if err := v.sealNothing(ctx, tx, v.resetMail(p, base+randomBase62(sessionTokenLength)+"/")); err != nil {
		return err
	}
	return v.record(ctx, tx, Principal{Request: p.Request}, e)
}

func (v *Vault) resetMail(p Principal, link string) mail.PasswordReset {
	return mail.PasswordReset{Link: link, ExpiresAt: v.now().Add(resetLife).UTC(), IP: addressText(p.Request.IP)}
}

// lockedByEmail is the account of an address, with its row locked; if there is
// none, one that is not active.
func lockedByEmail(ctx context.Context, tx store.Tx, email string) (*store.User, error) {
	id := newID()
	found, err := tx.UserByEmail(ctx, email)
	if err == nil {
		id = found.ID
	} else if !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	user, err := tx.UserByID(ctx, id)
	if errors.Is(err, fault.NotFound) {
		return new(store.User), nil
	}
	return user, err
}

// sealNothing does what queueMail does but for the row.
func (v *Vault) sealNothing(ctx context.Context, tx store.Tx, m mail.Message) error {
	text, err := mail.Encode(m)
	if err != nil {
		return err
	}
	s, err := v.sealer(ctx, tx, "")
	if err != nil {
		return err
	}
	_, _, err = s.seal(api.NewValue(string(text)))
	return err
}

// OpenPasswordReset tells the holder of a link whose password it chooses, so that a
// browser can keep the new one with the address; fault.Gone if the link does not
// serve. It changes nothing, however often it is called: programs that look at mail
// open links, too. Nothing can be guessed here that ConfirmPasswordReset would count:
// a token is 256 random bits.
func (v *Vault) OpenPasswordReset(ctx context.Context, p Principal, token api.Value) (email string, err error) {
	if _, err := admit(p, ActionConfirmPasswordReset); err != nil {
		return "", err
	}
	user, _, err := v.linkedUser(ctx, token)
	if err != nil {
		return "", err
	}
	return user.Email, nil
}

// ConfirmPasswordReset chooses a new password by a link. All sessions of the
// account end, its personal tokens too if that is wanted, and its person gets a
// mail. It neither signs him in nor touches his second factor. A link that does not
// serve is fault.Gone; a password that is refused leaves the link as it was.
func (v *Vault) ConfirmPasswordReset(ctx context.Context, p Principal, in api.PasswordResetConfirm) error {
	return v.Guard(ctx, p, ActionConfirmPasswordReset, func() error {
		user, digest, err := v.linkedUser(ctx, in.Token)
		if err != nil {
			return err
		}
		if problem := checkPassword(in.NewPassword, user.Email); problem != "" {
			return fault.InvalidField("body.new_password", problem)
		}
		hash, err := v.hasher.hash(ctx, in.NewPassword)
		if err != nil {
			return err
		}
		return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
			return v.resetByLink(ctx, tx, p, reset{user.ID, digest, hash, in.RevokeTokens})
		})
	})
}

// linkedUser finds the active account that a link is for.
func (v *Vault) linkedUser(ctx context.Context, token api.Value) (*store.User, []byte, error) {
	if token.Len() != sessionTokenLength {
		return nil, nil, errBadLink
	}
	digest := digestOf(token.Reveal())
	reset, err := v.store.PasswordResetByDigest(ctx, digest, v.micros())
	if errors.Is(err, fault.NotFound) {
		return nil, nil, errBadLink
	}
	if err != nil {
		return nil, nil, err
	}
	user, err := v.store.UserByID(ctx, reset.UserID)
	if errors.Is(err, fault.NotFound) || err == nil && !user.IsActive {
		return nil, nil, errBadLink
	}
	return user, digest, err
}

// reset is a new password that is chosen by a link.
type reset struct {
	userID       string
	digest       []byte // of the link's token
	hash         string
	revokeTokens bool
}

// resetByLink looks again with the account's row locked: of two attempts with one
// link, one succeeds.
func (v *Vault) resetByLink(ctx context.Context, tx store.Tx, p Principal, r reset) error {
	user, err := tx.UserByID(ctx, r.userID)
	if err != nil {
		return err
	}
	_, err = tx.PasswordResetByDigest(ctx, r.digest, v.micros())
	if errors.Is(err, fault.NotFound) || err == nil && !user.IsActive {
		return errBadLink
	}
	if err != nil {
		return err
	}
	if err := v.replacePassword(ctx, tx, p.Request, user, r.hash); err != nil {
		return err
	}
	who := Principal{Request: p.Request, user: user}
	if r.revokeTokens {
		if err := v.revokeAllOwn(ctx, tx, who, user.ID); err != nil {
			return err
		}
	}
	return v.record(ctx, tx, who, event{action: ActionConfirmPasswordReset, target: user.Email})
}
