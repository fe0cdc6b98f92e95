package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"github.com/heartlock/heartlock/pkg/fault"
)

const (
	secretColumns = `
SELECT s.id, s.environment_id, s.key, s.version, s.comment, s.sealed, s.key_fingerprint, s.revision,
       s.created_at, s.updated_at, s.updated_by_kind, s.updated_by_id, s.updated_by_name
FROM secrets s`
	secretByKey  = secretColumns + ` WHERE s.environment_id = ? AND s.key = ? AND s.sealed IS NOT NULL`
	deletedByKey = secretColumns + ` WHERE s.environment_id = ? AND s.key = ? AND s.sealed IS NULL
ORDER BY s.revision DESC LIMIT 1` // each change has its own: that of the last one is the highest

	advanceEnvironment = `
UPDATE environments SET revision = revision + 1, secret_count = secret_count + ?, updated_at = ? WHERE id = ? RETURNING revision`
	replaceSecret = `
UPDATE secrets SET key = ?, version = ?, comment = ?, sealed = ?, key_fingerprint = ?, revision = ?, created_at = ?,
       updated_at = ?, updated_by_kind = ?, updated_by_id = ?, updated_by_name = ?
WHERE id = ? AND version = ?`

	// The revision is read by the same statement as the rows, so that it is theirs.
	secretsOfOne = `
SELECT (SELECT e.revision FROM environments e WHERE e.id = ?),
       s.key, s.version, s.revision, s.comment, s.sealed, s.key_fingerprint,
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

// SecretFor finds a secret by the path of its environment and its key, with what
// is shown of it and what decides on the caller's rights. An environment that he
// can not see is fault.NotFound; in one that he can see, a key that no secret has
// gives nil for the secret.
func (q Queries) SecretFor(ctx context.Context, caller Caller, projectRef, ref, key string) (*EnvironmentView, *Secret, error) {
	text, id := secretLookup.of(caller, projectRef, ref, toRead)
	v, s := new(EnvironmentView), &Secret{Key: key}
	err := q.hotRow(ctx, []any{
		&v.ProjectID, &v.Slug, &v.IsProtected, &s.Version, &s.Revision, &s.Comment, &s.Sealed, &s.KeyFingerprint,
		&s.CreatedAt, &s.UpdatedAt, &s.UpdatedBy.Kind, &s.UpdatedBy.ID, &s.UpdatedBy.Name, &v.Role, &v.Access,
	}, text, id, key, projectRef, ref)
	if s.Sealed == nil {
		s = nil
	}
	return v, s, err
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
		s.Sealed = new(string) // database/sql is slow at filling in a nil pointer
		err := rows.Scan(&e.Revision, &s.Key, &s.Version, &s.Revision, &s.Comment, s.Sealed, &s.KeyFingerprint,
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
	switch len(keys) {
	case 0:
		return found, nil
	case 1:
		s, err := q.latestSecret(ctx, environmentID, keys[0])
		if err == nil {
			found[keys[0]] = s
		}
		return found, ignoreNotFound(err)
	}
	// The live ones come last and win. One condition for both would fit neither
	// of the two indexes.
	for _, condition := range []string{"s.sealed IS NULL", "s.sealed IS NOT NULL"} {
		var rows []*Secret
		err := q.db.NewSelect().Model(&rows).
			Where("s.environment_id = ?", environmentID).Where("s.key IN (?)", bun.List(keys)).Where(condition).
			OrderExpr("s.revision").Scan(ctx)
		if err != nil {
			return nil, wrap(err)
		}
		for _, s := range rows {
			found[s.Key] = s
		}
	}
	return found, nil
}

// latestSecret finds the live secret with a key, or else the one that was
// deleted last.
func (q Queries) latestSecret(ctx context.Context, environmentID, key string) (*Secret, error) {
	s, err := q.Secret(ctx, environmentID, key)
	if !errors.Is(err, fault.NotFound) {
		return s, err
	}
	err = q.hotRow(ctx, s.fields(), deletedByKey, environmentID, key)
	return s, err
}

func ignoreNotFound(err error) error {
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// AdvanceEnvironment counts a change of the environment's secrets: it raises the
// revision by one and the number of secrets by added, and returns the new
// revision.
func (tx Tx) AdvanceEnvironment(ctx context.Context, environmentID string, added int, now Micros) (int64, error) {
	var revision int64
	err := tx.hotRow(ctx, []any{&revision}, advanceEnvironment, added, int64(now), environmentID)
	return revision, err
}

// InsertSecrets adds secrets at their first version; a key that is taken is
// fault.Conflict.
func (tx Tx) InsertSecrets(ctx context.Context, secrets []Secret) error {
	return insertAll(ctx, tx.db, secrets)
}

var insertVersions = newInsertion("secret_versions", "secret_id", "version", "key", "comment", "sealed", "key_fingerprint",
	"revision", "updated_at", "updated_by_kind", "updated_by_id", "updated_by_name")

// ReplaceSecrets writes the new version of secrets and keeps the old one. Each
// pair is a row as it was read in this transaction and as it shall be.
func (tx Tx) ReplaceSecrets(ctx context.Context, changes []SecretChange) error {
	former := make([]any, 0, len(changes)*insertVersions.columns)
	for i := range changes {
		s := &changes[i].Old
		former = append(former, s.ID, s.Version, s.Key, s.Comment, s.Sealed, s.KeyFingerprint, s.Revision,
			int64(s.UpdatedAt), s.UpdatedBy.Kind, s.UpdatedBy.ID, s.UpdatedBy.Name)
	}
	if err := tx.insertRows(ctx, insertVersions, former); err != nil {
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
	s := &c.New
	return affected(tx.hotExec(ctx, replaceSecret, s.Key, s.Version, s.Comment, s.Sealed, s.KeyFingerprint, s.Revision,
		int64(s.CreatedAt), int64(s.UpdatedAt), s.UpdatedBy.Kind, s.UpdatedBy.ID, s.UpdatedBy.Name, c.Old.ID, c.Old.Version))
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

// HoldsSecrets reports whether there is any secret, or was one.
func (q Queries) HoldsSecrets(ctx context.Context) (there bool, err error) {
	err = q.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM secrets)`).Scan(&there)
	return there, wrap(err)
}

// SealedBytes is the size of all present values of an environment as they are
// stored.
func (q Queries) SealedBytes(ctx context.Context, environmentID string) (n int64, err error) {
	err = q.hotRow(ctx, []any{&n}, `SELECT COALESCE(SUM(LENGTH(s.sealed)), 0) FROM secrets s WHERE s.environment_id = ? AND s.sealed IS NOT NULL`, environmentID)
	return n, err
}
