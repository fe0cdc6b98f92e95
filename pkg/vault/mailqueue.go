package vault

import (
	"context"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// queueMail has a message sent once the transaction is committed, and only then:
// what it speaks of has happened. No request waits for a mail server. recipient
// is a canonical address of the database, never text of a request alone.
func (v *Vault) queueMail(ctx context.Context, tx store.Tx, recipient string, m mail.Message) error {
	text, err := mail.Encode(m)
	if err != nil {
		return err
	}
	s, err := v.sealer(ctx, tx, "")
	if err != nil {
		return err
	}
	sealed, fingerprint, err := s.seal(api.NewValue(string(text)))
	if err != nil {
		return err
	}
	tx.AfterCommit(v.mailQueued)
	now := v.micros()
	return tx.InsertQueuedMail(ctx, &store.QueuedMail{
		ID: newID(), Kind: m.Kind(), Recipient: recipient, Sealed: &sealed, KeyFingerprint: fingerprint,
		CreatedAt: now, NextAttemptAt: now,
	})
}
