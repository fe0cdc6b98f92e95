package vault

import (
	"context"

	"github.com/heartlock/heartlock/pkg/store"
)

// MarkKeysExported notes that a person was given the configured keys, so that
// they can be found without this machine. What a key is stays where it is. Only
// a command on the server itself may.
func (v *Vault) MarkKeysExported(ctx context.Context, p Principal) error {
	if _, err := admit(p, ActionExportKey); err != nil {
		return err
	}
	ring := v.currentRing()
	if ring == nil {
		return errNoKey
	}
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		known, err := tx.EncryptionKeys(ctx)
		if err != nil {
			return err
		}
		for _, k := range known {
			if !ring.Has(k.Fingerprint) {
				continue
			}
			if err := tx.MarkKeyExported(ctx, k.Fingerprint, v.micros()); err != nil {
				return err
			}
			if err := v.record(ctx, tx, p, event{action: ActionExportKey, target: k.Fingerprint}); err != nil {
				return err
			}
		}
		return nil
	})
}
