package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"
)

const (
	secretByKey = `
SELECT s.id, s.environment_id, s.key, s.version, s.comment, s.sealed, s.key_fingerprint, s.revision,
       s.created_at, s.updated_at, s.updated_by_kind, s.updated_by_id, s.updated_by_name
FROM secrets s WHERE s.environment_id = ? AND s.key = ? AND s.sealed IS NOT NULL`

	// The revision is read by the same statement as the rows, so that it is theirs.
	secretsOfOne = `
SELECT (SELECT e.revision FROM environments e WHERE e.id = ?),
       s.key, s.version, s.comment, s.sealed, s.key_fingerprint,
       s.created_at, s.updated_at, s.updated_by_kind, s.updated_by_id, s.updated_by_name
FROM secrets s WHERE s.environment_id = ? AND s.sealed IS NOT NULL ORDER BY s.key`
)

func (s *Secret) fields() []any {
	return []any{
		&s.ID, &s.EnvironmentID, &s.Key, &s.Version, &s.Comment, &s.Sealed, &s.KeyFingerprint, &s.Revision,
		&s.CreatedAt, &s.UpdatedAt, &s.UpdatedBy.Kind, &s.UpdatedBy.ID, &s.UpdatedBy.Name,
	}
}

// Secret finds a secret of an environment by its key. The environment's id must
// come from EnvironmentFor.
func (q Queries) Secret(ctx context.Context, environmentID, key string) (*Secret, error) {
	s := new(Secret)
	err := q.hotRow(ctx, s.fields(), secretByKey, environmentID, key)
	return s, err
}

// SecretsOf lists the secrets of an environment by key, with what is shown of
// them, and brings the environment's revision up to that of the rows.
func (q Queries) SecretsOf(ctx context.Context, e *Environment) ([]Secret, error) {
	rows, err := q.hot(ctx, secretsOfOne, e.ID, e.ID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	secrets := make([]Secret, 0, e.SecretCount)
	for rows.Next() {
		secrets = append(secrets, Secret{})
		s := &secrets[len(secrets)-1]
		err := rows.Scan(&e.Revision, &s.Key, &s.Version, &s.Comment, &s.Sealed, &s.KeyFingerprint,
			&s.CreatedAt, &s.UpdatedAt, &s.UpdatedBy.Kind, &s.UpdatedBy.ID, &s.UpdatedBy.Name)
		if err != nil {
			return nil, wrap(err)
		}
	}
	return secrets, wrap(rows.Err())
}

// SecretsByKey finds those secrets of an environment that have one of the keys.
// Where none with a key is live, it is the one that was deleted last.
func (q Queries) SecretsByKey(ctx context.Context, environmentID string, keys []string) (map[string]*Secret, error) {
	found := make(map[string]*Secret, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	var rows []*Secret
	err := q.db.NewSelect().Model(&rows).
		Where("s.environment_id = ?", environmentID).Where("s.key IN (?)", bun.List(keys)).
		OrderExpr("s.revision").Scan(ctx) // each change has its own: the last one comes last
	if err != nil {
		return nil, wrap(err)
	}
	for _, s := range rows {
		if old := found[s.Key]; old == nil || old.Sealed == nil {
			found[s.Key] = s
		}
	}
	return found, nil
}

// AdvanceEnvironment counts a change of the environment's secrets: it raises the
// revision by one and the number of secrets by added, and returns the new
// revision.
func (tx Tx) AdvanceEnvironment(ctx context.Context, environmentID string, added int, now Micros) (int64, error) {
	var revision int64
	err := tx.db.QueryRowContext(ctx,
		`UPDATE environments SET revision = revision + 1, secret_count = secret_count + ?, updated_at = ? WHERE id = ? RETURNING revision`,
		added, now, environmentID).Scan(&revision)
	return revision, wrap(err)
}

// InsertSecrets adds secrets at their first version; a key that is taken is
// fault.Conflict.
func (tx Tx) InsertSecrets(ctx context.Context, secrets []Secret) error {
	return insertAll(ctx, tx.db, secrets)
}

// ReplaceSecrets writes the new version of secrets and keeps the old one. Each
// pair is a row as it was read in this transaction and as it shall be.
func (tx Tx) ReplaceSecrets(ctx context.Context, changes []SecretChange) error {
	former := make([]SecretVersion, len(changes))
	for i := range changes {
		former[i] = changes[i].Old.version()
	}
	if err := insertAll(ctx, tx.db, former); err != nil {
		return err
	}
	for i := range changes {
		if err := tx.replaceSecret(ctx, &changes[i]); err != nil {
			return err
		}
	}
	return nil
}

// SecretChange is a secret before and after a change.
type SecretChange struct {
	Old, New Secret
}

func (tx Tx) replaceSecret(ctx context.Context, c *SecretChange) error {
	return affected(tx.db.NewUpdate().Model(&c.New).
		Column("key", "version", "comment", "sealed", "key_fingerprint", "revision", "created_at", "updated_at",
			"updated_by_kind", "updated_by_id", "updated_by_name").
		WherePK().Where("version = ?", c.Old.Version).Exec(ctx))
}

// HasSealed reports whether the database holds anything that was sealed with an
// encryption key: then a new key must not be generated.
func (q Queries) HasSealed(ctx context.Context) (bool, error) {
	var one int
	err := q.db.QueryRowContext(ctx, `
SELECT 1 WHERE EXISTS (SELECT 1 FROM encryption_keys) OR EXISTS (SELECT 1 FROM secrets)
   OR EXISTS (SELECT 1 FROM idempotency_keys)`).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, wrap(err)
}
