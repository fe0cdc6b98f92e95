package vault

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// write carries out a change that p asks for, in a transaction. A person's
// session or token is looked at again in there: between the proof of who calls
// and this moment the rest of a request may have taken its time, and what was
// revoked or ended meanwhile must change nothing, least of all make a new token.
// On PostgreSQL the credential is held, so that a revocation comes before the
// change or after it.
//
// A service token needs no second look: it is part of the query that finds what
// it may change, and is held by that.
func (v *Vault) write(ctx context.Context, p Principal, do func(context.Context, store.Tx) error) error {
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := v.hold(ctx, tx, p); err != nil {
			return err
		}
		return do(ctx, tx)
	})
}

func (v *Vault) hold(ctx context.Context, tx store.Tx, p Principal) error {
	var (
		err     error
		refusal error
	)
	switch {
	case p.session != nil:
		err, refusal = tx.HoldSession(ctx, p.session.ID, v.micros()), errBadSession
	case p.user != nil && p.token != nil:
		err, refusal = tx.HoldPersonalToken(ctx, p.token.id, v.micros()), errBadToken
	}
	if errors.Is(err, fault.NotFound) {
		return refusal
	}
	return err
}
