package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// EncryptionKeys lists the keys that the database knows, the oldest first, those
// that were retired included.
func (q Queries) EncryptionKeys(ctx context.Context) ([]EncryptionKey, error) {
	var rows []EncryptionKey
	err := q.db.NewSelect().Model(&rows).OrderExpr("k.created_at, k.fingerprint").Scan(ctx)
	return rows, wrap(err)
}

// sealingKey is the fingerprint of the key that new values are sealed with, as
// part of a query. The second form, for PostgreSQL, holds the row until the
// transaction ends: the key can not be changed before what was sealed with it is
// there to be seen.
const (
	sealingKey     = "(SELECT k.fingerprint FROM encryption_keys k WHERE k.is_sealing)"
	heldSealingKey = "(SELECT k.fingerprint FROM encryption_keys k WHERE k.is_sealing FOR SHARE)"
)

// SealingKey is the fingerprint of the key that new values are sealed with, or
// "". It stays that one until the transaction ends.
func (tx Tx) SealingKey(ctx context.Context) (string, error) {
	text := "SELECT " + sealingKey
	if tx.engine == PostgreSQL {
		text = "SELECT " + heldSealingKey
	}
	var fingerprint sql.NullString
	err := tx.hotRow(ctx, []any{&fingerprint}, text)
	return fingerprint.String, err
}

// keysPatience is how long the lock of the keys is waited for. Everyone who wants
// to seal waits behind it, so it must be short: better to come back.
const keysPatience = "300ms"

// ErrKeysHeld says that the keys could not be locked: somebody is sealing, or a
// session has a transaction open that has looked at the keys.
var ErrKeysHeld = errors.New("another transaction holds the encryption keys")

// LockEncryptionKeys keeps others from adding keys, and from sealing anything,
// until the transaction ends; who is sealing is waited for, but not for long:
// then it is a fault.Unavailable with [ErrKeysHeld], and the transaction has to be
// tried again. SQLite has one writer at a time and needs nothing.
func (tx Tx) LockEncryptionKeys(ctx context.Context) error {
	if tx.engine == SQLite {
		return nil
	}
	if _, err := tx.db.ExecContext(ctx, "SET LOCAL lock_timeout = '"+keysPatience+"'"); err != nil {
		return wrap(err)
	}
	_, err := tx.db.ExecContext(ctx, `LOCK TABLE encryption_keys IN EXCLUSIVE MODE`)
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code == "55P03" { // lock_not_available
		return unavailable(fmt.Errorf("%w: %w", ErrKeysHeld, err), soon,
			"The encryption keys are held by another transaction. If that lasts, look for a session of PostgreSQL that has left one open (pg_stat_activity), and end it.")
	}
	return wrap(err)
}

// InsertEncryptionKey adds a key; one that is there already is fault.Conflict.
func (tx Tx) InsertEncryptionKey(ctx context.Context, key *EncryptionKey) error {
	_, err := tx.db.NewInsert().Model(key).Exec(ctx)
	return wrap(err)
}

// SealWith makes a key that the database knows the one that seals. Whether it was
// retired is for the caller to look at.
func (tx Tx) SealWith(ctx context.Context, fingerprint string) error {
	// Two statements: the index that allows one such row is checked row by row.
	if _, err := tx.db.ExecContext(ctx, `UPDATE encryption_keys SET is_sealing = ? WHERE is_sealing`, false); err != nil {
		return wrap(err)
	}
	return affected(tx.db.ExecContext(ctx, `UPDATE encryption_keys SET is_sealing = ? WHERE fingerprint = ?`, true, fingerprint))
}

// RetireKeys marks the keys that do not seal as retired.
func (tx Tx) RetireKeys(ctx context.Context, at Micros) error {
	_, err := tx.db.ExecContext(ctx, `UPDATE encryption_keys SET retired_at = ? WHERE NOT is_sealing AND retired_at IS NULL`, at)
	return wrap(err)
}

// MarkKeyExported notes that a person was given the key.
func (tx Tx) MarkKeyExported(ctx context.Context, fingerprint string, at Micros) error {
	return affected(tx.db.ExecContext(ctx, `UPDATE encryption_keys SET exported_at = ? WHERE fingerprint = ?`, at, fingerprint))
}

// KeyRotation is the rotation that is under way, or nil.
func (q Queries) KeyRotation(ctx context.Context) (*KeyRotation, error) {
	row := new(KeyRotation)
	err := q.db.NewSelect().Model(row).Where("r.id = 1").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap(err)
	}
	return row, nil
}

// SetKeyRotation puts a rotation in the place of the one that is under way.
func (tx Tx) SetKeyRotation(ctx context.Context, row *KeyRotation) error {
	if err := tx.EndKeyRotation(ctx); err != nil {
		return err
	}
	row.ID = 1
	_, err := tx.db.NewInsert().Model(row).Exec(ctx)
	return wrap(err)
}

// EndKeyRotation forgets the rotation that is under way.
func (tx Tx) EndKeyRotation(ctx context.Context) error {
	_, err := tx.db.ExecContext(ctx, `DELETE FROM key_rotation`)
	return wrap(err)
}
