package store

import "context"

var insertMailQueue = newInsertion("mail_queue", "id", "kind", "recipient", "sealed", "key_fingerprint",
	"created_at", "next_attempt_at", "attempts", "last_error")

// InsertQueuedMail adds a mail that is to be sent.
func (tx Tx) InsertQueuedMail(ctx context.Context, m *QueuedMail) error {
	return tx.insertRows(ctx, insertMailQueue, []any{
		m.ID, m.Kind, m.Recipient, m.Sealed, m.KeyFingerprint, int64(m.CreatedAt), int64(m.NextAttemptAt), m.Attempts, m.LastError,
	})
}
