package vault

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// subject is what attempts are counted against.
type subject struct {
	name  string
	about string // as the audit trail names it; "": what follows the colon of name
	rule  store.ThrottleRule
	// ownedBySuccess: an attempt that succeeds shows that the others were by the
	// same person, and forgets them. For a network it shows nothing of the kind:
	// a guesser with an account of his own would sign in to it in between.
	ownedBySuccess bool
}

// target is the subject as the audit trail names it.
func (s subject) target() string {
	if s.about != "" {
		return s.about
	}
	_, name, _ := strings.Cut(s.name, ":")
	return name
}

// The bounds of guessing, for all servers together. Five for an account is what
// Vault and OpenBao allow; a network may be an office with many people in it.
const (
	guessWindow      = 15 * time.Minute
	guessesOfAccount = 5
	guessesOfNetwork = 30

	resetWindow     = time.Hour
	resetsOfAddress = 5
	resetsOfNetwork = 30

	ssoBegunInNetwork = 1000 // far more than people need, within ssoLife

	throttleLife = 2 * resetWindow // of rows that block nobody
)

func micros(d time.Duration) store.Micros { return store.Micros(d.Microseconds()) }

func guesses(limit int) store.ThrottleRule {
	return store.ThrottleRule{Limit: limit, Window: micros(guessWindow), Block: micros(guessWindow)}
}

// accountSubject counts what is tried to sign in to an account. It goes by the
// canonical address and not by the account, of which there may be none.
func accountSubject(email string) subject {
	return subject{name: "account:" + email, rule: guesses(guessesOfAccount), ownedBySuccess: true}
}

// sessionSubject counts what is tried from within a session of an account: the
// holder of a stolen session guesses no better than others. It is counted apart,
// so that nobody outside can keep a person from what he is signed in to.
func sessionSubject(userID string) subject {
	return subject{name: "user:" + userID, rule: guesses(guessesOfAccount), ownedBySuccess: true}
}

// codeSubject counts the codes of a second factor that are tried from within a
// session. It is counted apart, so that the right password, which goes with each,
// does not forget them.
func codeSubject(userID string) subject {
	return subject{name: "code:" + userID, rule: guesses(guessesOfAccount), ownedBySuccess: true}
}

// networkSubject counts whatever is guessed from a network.
func networkSubject(a netip.Addr) subject {
	return subject{name: "network:" + networkName(a), rule: guesses(guessesOfNetwork)}
}

// ssoSubject counts the sign-ins at the identity provider that begin in a network.
func ssoSubject(a netip.Addr) subject {
	return subject{
		name: "sso-network:" + networkName(a),
		rule: store.ThrottleRule{Limit: ssoBegunInNetwork, Window: micros(ssoLife)},
	}
}

// networkName is the network that one client can have all addresses of. Clients
// whose address is not known are one network.
func networkName(a netip.Addr) string { return prefixText(a, 32, 64) }

// trial is an attempt at something that can be guessed. It is counted as failed
// from its beginning, in a transaction of its own: neither attempts at the same
// time, on whichever server, nor a server that dies, nor a transaction that is
// rolled back get around the count. It ends by exactly one of failed, succeeded
// and takenBack.
type trial struct {
	v        *Vault
	p        Principal
	action   Action
	subjects []subject
	// blocked is called when the trial begins a block, in its transaction; it may be nil.
	blocked func(context.Context, store.Tx) error
}

// beginTrial makes a trial of an action, before anything expensive is done for it. Who
// has no attempt left is refused as fault.TooManyRequests, also with the right
// answer.
func (v *Vault) beginTrial(ctx context.Context, p Principal, a Action, subjects ...subject) (*trial, error) {
	if err := v.lookForBlocks(ctx, v.store.Queries, subjects); err != nil {
		return nil, err
	}
	err := v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		now := v.micros()
		for _, s := range subjects {
			reserved, err := tx.ReserveAttempt(ctx, s.name, s.rule, now)
			if err != nil {
				return err
			}
			if !reserved {
				return v.refuseTrial(ctx, tx.Queries, s, now)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &trial{v: v, p: p, action: a, subjects: subjects}, nil
}

// lookForBlocks refuses without writing: a flood of refused attempts is to cost
// little.
func (v *Vault) lookForBlocks(ctx context.Context, q store.Queries, subjects []subject) error {
	now := v.micros()
	for _, s := range subjects {
		row, err := q.Throttle(ctx, s.name)
		if err != nil {
			return err
		}
		if wait := row.Wait(s.rule, now); wait > 0 {
			return errTooMany(wait)
		}
	}
	return nil
}

func (v *Vault) refuseTrial(ctx context.Context, q store.Queries, s subject, now store.Micros) error {
	row, err := q.Throttle(ctx, s.name)
	if err != nil {
		return err
	}
	return errTooMany(max(row.Wait(s.rule, now), micros(time.Second)))
}

// errTooMany says nothing of what there is an account for: the count goes by what
// was sent.
func errTooMany(wait store.Micros) error {
	after := (time.Duration(wait) * time.Microsecond).Round(time.Second)
	return &fault.Error{
		Kind: fault.TooManyRequests, RetryAfter: max(after, time.Second),
		Message: fmt.Sprintf("Too many attempts have failed. Try again in %s.", inWords(max(after, time.Second))),
	}
}

func inWords(d time.Duration) string {
	n, unit := int((d+time.Minute-1)/time.Minute), "minute"
	if d < time.Minute {
		n, unit = int(d/time.Second), "second"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// failed ends a trial that was a wrong guess. What has no attempt left now is
// blocked; this, and not what is refused because of it, is recorded. The end of
// the request does not stop it.
func (t *trial) failed(ctx context.Context) error {
	return t.end(ctx, func(ctx context.Context, tx store.Tx) error {
		now := t.v.micros()
		for _, s := range t.subjects {
			began, err := tx.BlockIfSpent(ctx, s.name, s.rule, now)
			if err != nil {
				return err
			}
			if !began {
				continue
			}
			err = t.v.record(ctx, tx, Principal{Request: t.p.Request, user: t.p.user}, event{
				action: ActionThrottle, outcome: outcomeRefused, target: s.target(),
				detail: map[string]string{"tried": string(t.action), "blocked_to": (now + s.rule.Block).Time().Format(time.RFC3339)},
			})
			if err != nil {
				return err
			}
			if t.blocked != nil {
				if err := t.blocked(ctx, tx); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// succeeded ends a trial that was right.
func (t *trial) succeeded(ctx context.Context) error {
	return t.end(ctx, func(ctx context.Context, tx store.Tx) error {
		for _, s := range t.subjects {
			forget := tx.ReturnAttempt
			if s.ownedBySuccess {
				forget = tx.ClearThrottle
			}
			if err := forget(ctx, s.name); err != nil {
				return err
			}
		}
		return nil
	})
}

// takenBack ends a trial in which nothing was guessed.
func (t *trial) takenBack(ctx context.Context) error {
	return t.end(ctx, func(ctx context.Context, tx store.Tx) error {
		for _, s := range t.subjects {
			if err := tx.ReturnAttempt(ctx, s.name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *trial) end(ctx context.Context, do func(context.Context, store.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), trialEnd)
	defer cancel()
	return t.v.store.Write(ctx, do)
}

// trialEnd is how long the end of a trial may take. If it can not be noted, the
// attempt stays counted.
const trialEnd = 5 * time.Second

// finish ends a trial by the error that the attempt ended with, which it returns:
// none is a success; if it is not of a wrong guess, nothing was guessed.
func (t *trial) finish(ctx context.Context, err error, wrong bool) error {
	switch {
	case wrong:
		if failure := t.failed(ctx); failure != nil {
			return failure
		}
	case err == nil:
		return t.succeeded(ctx)
	default:
		_ = t.takenBack(ctx) // otherwise it stays counted
	}
	return err
}

// Guard makes an attempt at something that is guessed without an account, such as
// the token of a link, and counts it against the network that it comes from: what
// check refuses as fault.Forbidden, fault.NotFound or fault.Gone was a wrong
// guess. When too many were wrong it is fault.TooManyRequests, and check is not
// called.
func (v *Vault) Guard(ctx context.Context, p Principal, a Action, check func() error) error {
	t, err := v.beginTrial(ctx, p, a, networkSubject(p.Request.IP))
	if err != nil {
		return err
	}
	err = check()
	wrong := errors.Is(err, fault.Forbidden) || errors.Is(err, fault.NotFound) || errors.Is(err, fault.Gone)
	return t.finish(ctx, err, wrong)
}
