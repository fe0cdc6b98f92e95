package store

import (
	"context"
	"database/sql"
	"errors"
)

// OnboardedAt is when the first run was finished, or nil.
func (q Queries) OnboardedAt(ctx context.Context) (*Micros, error) {
	var at Micros
	err := q.db.QueryRowContext(ctx, `SELECT onboarded_at FROM instance WHERE id = 1`).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &at, wrap(err)
}

// CloseOnboarding finishes the first run. Of any number of transactions that
// try, on any number of servers, one succeeds; the others get fault.Conflict.
func (tx Tx) CloseOnboarding(ctx context.Context, at Micros) error {
	_, err := tx.db.ExecContext(ctx, `INSERT INTO instance (id, onboarded_at) VALUES (1, ?)`, at)
	return wrap(err)
}

// LockIdempotencyKey makes transactions with the same key follow one another, so
// that the later ones find the answer of the first. SQLite has one writer.
func (tx Tx) LockIdempotencyKey(ctx context.Context, owner, key string) error {
	if tx.engine == SQLite {
		return nil
	}
	_, err := tx.hotExec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(?, 0))`, "idempotency "+owner+" "+key)
	return err
}

// IdempotencyKey finds the stored answer to a request.
func (q Queries) IdempotencyKey(ctx context.Context, owner, key string) (*IdempotencyKey, error) {
	row := new(IdempotencyKey)
	err := q.db.NewSelect().Model(row).Where("i.owner = ?", owner).Where("i.key = ?", key).Scan(ctx)
	return row, wrap(err)
}

// InsertIdempotencyKey stores the answer to a request; if another transaction
// has just stored one, it is fault.Conflict.
func (tx Tx) InsertIdempotencyKey(ctx context.Context, row *IdempotencyKey) error {
	return tx.insertRows(ctx, insertIdempotencyKeys, []any{
		row.Owner, row.Key, row.RequestDigest, row.Sealed, row.KeyFingerprint, row.CreatedAt,
	})
}

var insertIdempotencyKeys = newInsertion("idempotency_keys", "owner", "key", "request_digest", "sealed", "key_fingerprint", "created_at")

// DeleteIdempotencyKeys forgets answers older than before.
func (tx Tx) DeleteIdempotencyKeys(ctx context.Context, before Micros) error {
	_, err := tx.db.NewDelete().Model((*IdempotencyKey)(nil)).Where("created_at < ?", before).Exec(ctx)
	return wrap(err)
}

// DeleteIdempotencyKey forgets one answer.
func (tx Tx) DeleteIdempotencyKey(ctx context.Context, owner, key string) error {
	_, err := tx.db.NewDelete().Model((*IdempotencyKey)(nil)).
		Where("owner = ?", owner).Where("key = ?", key).Exec(ctx)
	return wrap(err)
}
