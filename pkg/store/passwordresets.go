package store

import "context"

// PutPasswordReset makes a link to choose a new password the one that is valid
// for its user. The user's row has to be locked.
func (tx Tx) PutPasswordReset(ctx context.Context, r *PasswordReset) error {
	_, err := tx.hotExec(ctx, `
INSERT INTO password_resets (user_id, digest, created_at, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (user_id) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at, expires_at = excluded.expires_at`,
		r.UserID, r.Digest, r.CreatedAt, r.ExpiresAt)
	return err
}

// PasswordResetByDigest finds the valid link whose token has this digest; one that
// was used, replaced or has expired is fault.NotFound.
func (q Queries) PasswordResetByDigest(ctx context.Context, digest []byte, now Micros) (*PasswordReset, error) {
	r := new(PasswordReset)
	err := q.hotRow(ctx, []any{&r.UserID, &r.Digest, &r.CreatedAt, &r.ExpiresAt}, `
SELECT user_id, digest, created_at, expires_at FROM password_resets WHERE digest = ? AND expires_at > ?`, digest, now)
	return r, err
}

// DeletePasswordReset makes a user's link worthless, if there is one.
func (tx Tx) DeletePasswordReset(ctx context.Context, userID string) error {
	_, err := tx.hotExec(ctx, `DELETE FROM password_resets WHERE user_id = ?`, userID)
	return err
}

// DeletePasswordResets removes the links that have expired.
func (tx Tx) DeletePasswordResets(ctx context.Context, now Micros) error {
	_, err := tx.hotExec(ctx, `DELETE FROM password_resets WHERE expires_at <= ?`, now)
	return err
}
