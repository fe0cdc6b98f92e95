package store

import "context"

// PutPasswordReset gives a user the one link to choose a new password; a former
// one is worthless from then on. The digest is written by a statement with
// parameters: see accounts.go.
func (tx Tx) PutPasswordReset(ctx context.Context, r *PasswordReset) error {
	_, err := tx.hotExec(ctx, `INSERT INTO password_resets (user_id, digest, created_at, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (user_id) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at, expires_at = excluded.expires_at`,
		r.UserID, r.Digest, r.CreatedAt, r.ExpiresAt)
	return err
}

// DeletePasswordReset makes the link to choose a password worthless, if the user
// has one.
func (tx Tx) DeletePasswordReset(ctx context.Context, userID string) error {
	_, err := tx.db.NewDelete().Model((*PasswordReset)(nil)).Where("user_id = ?", userID).Exec(ctx)
	return wrap(err)
}
