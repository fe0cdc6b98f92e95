package store

import "context"

const (
	secondFactorOf = `SELECT user_id, sealed, key_fingerprint, created_at, confirmed_at, last_step FROM second_factors WHERE user_id = ?`

	putSecondFactor = `
INSERT INTO second_factors (user_id, sealed, key_fingerprint, created_at, last_step) VALUES (?, ?, ?, ?, 0)
ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, key_fingerprint = excluded.key_fingerprint,
    created_at = excluded.created_at, last_step = 0
WHERE second_factors.confirmed_at IS NULL`

	useStep         = `UPDATE second_factors SET last_step = ? WHERE user_id = ? AND last_step < ?`
	confirmFactor   = `UPDATE second_factors SET confirmed_at = ? WHERE user_id = ? AND confirmed_at IS NULL`
	useRecoveryCode = `UPDATE recovery_codes SET used_at = ? WHERE user_id = ? AND digest = ? AND used_at IS NULL`
)

var insertRecoveryCodes = newInsertion("recovery_codes", "user_id", "digest")

// SecondFactor finds a user's second factor, also one that is being set up;
// fault.NotFound if he has none.
func (q Queries) SecondFactor(ctx context.Context, userID string) (*SecondFactor, error) {
	f := new(SecondFactor)
	err := q.hotRow(ctx, []any{&f.UserID, &f.Sealed, &f.KeyFingerprint, &f.CreatedAt, &f.ConfirmedAt, &f.LastStep}, secondFactorOf, userID)
	return f, err
}

// HasSecondFactor reports whether a user's second factor is confirmed.
func (q Queries) HasSecondFactor(ctx context.Context, userID string) (has bool, err error) {
	err = q.hotRow(ctx, []any{&has}, `SELECT EXISTS (SELECT 1 FROM second_factors WHERE user_id = ? AND confirmed_at IS NOT NULL)`, userID)
	return has, err
}

// PutSecondFactor begins to set up a second factor, in place of one that was not
// confirmed; with one that was, it is fault.NotFound.
func (tx Tx) PutSecondFactor(ctx context.Context, f *SecondFactor) error {
	return affected(tx.hotExec(ctx, putSecondFactor, f.UserID, f.Sealed, f.KeyFingerprint, f.CreatedAt))
}

// UseStep notes that the code of a time step was used. One that was used already,
// or that is before one that was, is fault.NotFound: of two requests with the same
// code one succeeds.
func (tx Tx) UseStep(ctx context.Context, userID string, step int64) error {
	return affected(tx.hotExec(ctx, useStep, step, userID, step))
}

// ConfirmSecondFactor has a second factor asked for from now on; fault.NotFound if
// it was already.
func (tx Tx) ConfirmSecondFactor(ctx context.Context, userID string, now Micros) error {
	return affected(tx.hotExec(ctx, confirmFactor, now, userID))
}

// ReplaceRecoveryCodes makes a user's former recovery codes worthless and stores
// the digests of new ones.
func (tx Tx) ReplaceRecoveryCodes(ctx context.Context, userID string, digests [][]byte) error {
	if _, err := tx.hotExec(ctx, `DELETE FROM recovery_codes WHERE user_id = ?`, userID); err != nil {
		return err
	}
	values := make([]any, 0, 2*len(digests))
	for _, digest := range digests {
		values = append(values, userID, digest)
	}
	return tx.insertRows(ctx, insertRecoveryCodes, values)
}

// UseRecoveryCode uses a recovery code up. One that is unknown or was used is
// fault.NotFound.
func (tx Tx) UseRecoveryCode(ctx context.Context, userID string, digest []byte, now Micros) error {
	return affected(tx.hotExec(ctx, useRecoveryCode, now, userID, digest))
}

// CountRecoveryCodes says how many of a user's recovery codes are unused.
func (q Queries) CountRecoveryCodes(ctx context.Context, userID string) (n int, err error) {
	err = q.hotRow(ctx, []any{&n}, `SELECT COUNT(*) FROM recovery_codes WHERE user_id = ? AND used_at IS NULL`, userID)
	return n, err
}
