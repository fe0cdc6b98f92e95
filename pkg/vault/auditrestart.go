package vault

import (
	"context"
	"strconv"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// RestartChain has the audit trail begin a new chain, because nobody can open the
// key of the present one, so that nothing can be recorded any more and therefore
// nothing be done. The first events of the new chain tell of it. What was recorded
// before stays, but nothing protects it any more. A chain whose key opens is left
// as it is: that is fault.Conflict. Only a command on the server itself may.
func (v *Vault) RestartChain(ctx context.Context, p Principal) error {
	if _, err := admit(p, ActionRestartChain); err != nil {
		return err
	}
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		ring := v.currentRing()
		seals, err := tx.SealingKey(ctx)
		switch {
		case err != nil:
			return err
		case ring == nil || seals == "":
			return errNoKey
		case !ring.Has(seals):
			return errKeyNotHere(seals, nil)
		}
		chain, err := tx.AuditChain(ctx)
		switch {
		case err != nil:
			return err
		case chain == nil:
			return fault.New(fault.Conflict, "There is no chain; it begins with the next event. Nothing was changed.")
		case chain.Sealed != nil && opensChainKey(ring, chain):
			return fault.New(fault.Conflict, "The key of the audit trail's chain can be opened, so there is no reason to begin a new chain. Nothing was changed.")
		}
		if err := tx.ForgetChain(ctx); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionRestartChain, detail: map[string]string{
			"former_first_id": strconv.FormatInt(chain.FirstID, 10), "former_last_id": strconv.FormatInt(chain.LastID, 10),
		}})
	})
}
