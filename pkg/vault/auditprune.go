package vault

import (
	"context"
	"encoding/hex"
	"strconv"

	"github.com/heartlock/heartlock/pkg/store"
)

// auditPerBatch bounds what one transaction removes from the audit trail, so that
// nobody who writes has to wait for long.
const auditPerBatch = 5000

// pruneAudit removes the events that have had their time. Always a beginning of
// the trail goes, so that what stays is still one chain: an event that a server
// with a wrong clock has dated later keeps those behind it.
func (v *Vault) pruneAudit(ctx context.Context) error {
	if v.auditAge <= 0 {
		return nil
	}
	oldest, stays, err := v.store.AuditSpan(ctx, store.MicrosOf(v.now().Add(-v.auditAge)))
	for err == nil && oldest != 0 && oldest < stays {
		if err = v.pruneAuditBefore(ctx, min(oldest+auditPerBatch, stays)); err == nil {
			oldest, err = v.store.OldestAuditEvent(ctx) // and not the next id: there may be none for a long way
		}
	}
	return err
}

// pruneAuditBefore removes the events before the one with an id, and records that:
// the record is a part of the chain, so nobody else can remove events like that.
func (v *Vault) pruneAuditBefore(ctx context.Context, id int64) error {
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		n, mac, err := tx.DeleteAuditBefore(ctx, id)
		if err != nil || n == 0 {
			return err
		}
		return v.record(ctx, tx, Local(), event{action: ActionPruneAudit, detail: map[string]string{
			"events": strconv.FormatInt(n, 10), "first_id": strconv.FormatInt(id, 10), "first_mac": hex.EncodeToString(mac),
		}})
	})
}
