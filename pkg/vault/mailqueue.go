package vault

import (
	"context"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// post is how mail leaves.
type post struct {
	mailer *mail.Mailer
	queued func()
}

// UseMailer sets what DeliverMail and TestMail send with, and what is called when
// a mail has been queued; that must return at once. Until then mail is queued and
// waits: for a server that delivers it, or for settings that say where to.
func (v *Vault) UseMailer(mailer *mail.Mailer, queued func()) { v.post.Store(&post{mailer, queued}) }

func (v *Vault) mailer() *mail.Mailer { return v.post.Load().mailer }

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
	tx.AfterCommit(v.post.Load().queued)
	now := v.micros()
	return tx.InsertQueuedMail(ctx, &store.QueuedMail{
		ID: newID(), Kind: m.Kind(), Recipient: recipient, Sealed: &sealed, KeyFingerprint: fingerprint,
		CreatedAt: now, NextAttemptAt: now,
	})
}
