package vault

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// administer carries out a change that only an administrator of the server may
// ask for, or a command on the server itself. It is the one way to such a change:
// in the transaction the caller's credential is looked at again, as in write, and
// that he is still an active administrator: who was demoted while his request was
// under way changes nothing.
//
// All of these transactions follow one another, on all servers. So what they
// decide on the administrators that there are holds, and two of them who demote
// each other do not both succeed.
func (v *Vault) administer(ctx context.Context, p Principal, a Action, do func(context.Context, store.Tx) error) error {
	if _, err := admit(p, a); err != nil {
		return err
	}
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.LockAdministration(ctx); err != nil {
			return err
		}
		if err := v.hold(ctx, tx, p); err != nil {
			return err
		}
		if err := holdSuperuser(ctx, tx, p); err != nil {
			return err
		}
		return do(ctx, tx)
	})
}

func holdSuperuser(ctx context.Context, tx store.Tx, p Principal) error {
	if p.local {
		return nil
	}
	if p.user == nil {
		return errSuperuser
	}
	err := tx.HoldSuperuser(ctx, p.user.ID)
	if errors.Is(err, fault.NotFound) {
		return errSuperuser
	}
	return err
}
