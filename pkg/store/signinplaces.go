package store

import "context"

// SeePlace notes that a user signed in from a place, which one of the digests
// stands for, and reports whether he had before. The first digest is the one that
// is kept for a new place. The user's row has to be locked.
func (tx Tx) SeePlace(ctx context.Context, userID string, digests [][]byte, now Micros) (known bool, err error) {
	for i, digest := range digests {
		result, err := tx.hotExec(ctx, `UPDATE sign_in_places SET seen_at = ? WHERE user_id = ? AND digest = ?`, now, userID, digest)
		if err != nil {
			return false, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return false, wrap(err)
		}
		if known = n > 0; known {
			if i == 0 {
				return true, nil
			}
			break
		}
	}
	_, err = tx.hotExec(ctx, `INSERT INTO sign_in_places (user_id, digest, seen_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, userID, digests[0], now)
	return known, err
}

// DeletePlaces forgets the places that nobody signed in from since then.
func (tx Tx) DeletePlaces(ctx context.Context, unseenSince Micros) error {
	_, err := tx.hotExec(ctx, `DELETE FROM sign_in_places WHERE seen_at <= ?`, unseenSince)
	return err
}
