package vault

import (
	"context"

	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// HoldHashing lets no password be checked until release is called.
func (v *Vault) HoldHashing() (release func()) {
	for range cap(v.hasher.slots) {
		v.hasher.slots <- struct{}{}
	}
	return func() {
		for range cap(v.hasher.slots) {
			<-v.hasher.slots
		}
	}
}

// Hashing is how many wait for a password to be checked.
func (v *Vault) Hashing() int64 { return v.hasher.waiting.Load() }

// HashPassword is the stored form of a password.
func HashPassword(password string) string { return hashPassword(password) }

// QueueMail queues a mail in a transaction of its own.
func (v *Vault) QueueMail(ctx context.Context, recipient string, m mail.Message) error {
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error { return v.queueMail(ctx, tx, recipient, m) })
}
