package vault

import (
	"context"
	"fmt"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Bounds on invitations, so that nobody is flooded with mail in the name of this
// server. Revoking an invitation makes room for another only in the first.
const (
	maxPendingInvitations = 20 // of a project
	maxLinksPerDay        = 50 // created and sent again, by one person in all projects
	inviterDay            = 24 * time.Hour
	resendInterval        = 10 * time.Minute
	// Who has mistyped a role revokes and invites anew; more often than this in one
	// resendInterval nobody does, to one address and project.
	maxAnew = 3
)

// withinBounds refuses an invitation that is to be created (it has no id yet) or
// sent again, by a person. The project is locked.
func (v *Vault) withinBounds(ctx context.Context, tx store.Tx, inviterID string, i *store.Invitation, now store.Micros) error {
	pending, err := tx.PendingInvitations(ctx, i.ProjectID, i.ID, now)
	if err != nil {
		return err
	}
	if pending.N >= maxPendingInvitations {
		return tooSoon(pending.First, now, fmt.Sprintf("This project has %d pending invitations, the most there can be. Revoke those that are not needed.", pending.N))
	}
	if err := v.soonAgain(ctx, tx, i, now); err != nil {
		return err
	}
	return countLink(ctx, tx, inviterID, now)
}

// inviters begins the subjects of countLink.
const inviters = "invitations:"

// countLink bounds the links that a person makes in a day. They have a count of
// their own, because invitations are gone with their project: who deletes that and
// makes another has not sent the mail any less.
func countLink(ctx context.Context, tx store.Tx, inviterID string, now store.Micros) error {
	subject, rule := inviters+inviterID, store.ThrottleRule{Limit: maxLinksPerDay, Window: micros(inviterDay)}
	counted, err := tx.ReserveAttempt(ctx, subject, rule, now)
	if err != nil || counted {
		return err
	}
	row, err := tx.Throttle(ctx, subject)
	if err != nil {
		return err
	}
	return tooSoon(now+row.Wait(rule, now), now, fmt.Sprintf("You have sent %d invitations within a day, the most one person can. Go on later.", row.Failures))
}

// soonAgain spares an address mails that follow each other closely.
func (v *Vault) soonAgain(ctx context.Context, tx store.Tx, i *store.Invitation, now store.Micros) error {
	if next := later(i.SentAt, resendInterval); i.ID != "" && next > now {
		return tooSoon(next, now, "This invitation was sent less than 10 minutes ago. Wait before you send it again.")
	}
	recent, err := tx.InvitationsTo(ctx, i.ProjectID, i.Email, earlier(now, resendInterval))
	if err != nil {
		return err
	}
	if recent.N >= maxAnew {
		return tooSoon(later(recent.First, resendInterval), now, "This address was invited several times within 10 minutes. Wait before you do it again.")
	}
	return nil
}

// tooSoon refuses what can be done from a time on.
func tooSoon(from, now store.Micros, message string) error {
	return &fault.Error{Kind: fault.TooManyRequests, Message: message, RetryAfter: max(time.Second, time.Duration(from-now)*time.Microsecond)}
}

func earlier(m store.Micros, d time.Duration) store.Micros { return later(m, -d) }

func later(m store.Micros, d time.Duration) store.Micros { return m + store.Micros(d.Microseconds()) }
