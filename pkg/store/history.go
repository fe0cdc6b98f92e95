package store

import (
	"context"
)

// The history of an environment lies in secrets, which has the newest version of
// each, and in secret_versions. Each version has the revision of the environment
// at which it came; it lasted until the revision of the next version.
//
// There is an index for the live secrets of an environment and one for the
// deleted ones, so queries name the two apart.

const (
	versionColumns = `v.secret_id, v.version, v.key, v.comment, v.sealed, v.key_fingerprint, v.revision,
       v.updated_at, v.updated_by_kind, v.updated_by_id, v.updated_by_name`
	newestAsVersion = `s.id, s.version, s.key, s.comment, s.sealed, s.key_fingerprint, s.revision,
       s.updated_at, s.updated_by_kind, s.updated_by_id, s.updated_by_name`

	// secretsIn is every secret of an environment, those that are deleted included.
	secretsIn = `
WITH secret AS (
    SELECT l.* FROM secrets l WHERE l.environment_id = ? AND l.sealed IS NOT NULL
    UNION ALL
    SELECT d.* FROM secrets d WHERE d.environment_id = ? AND d.sealed IS NULL
)`

	formerVersions = `
SELECT ` + versionColumns + ` FROM secret_versions v WHERE v.secret_id = ? AND v.version < ? ORDER BY v.version DESC LIMIT ?`
	oneVersion = `
SELECT ` + versionColumns + ` FROM secret_versions v WHERE v.secret_id = ? AND v.version = ?`

	// createdAt is when the secret that a version is of was created, or brought back
	// after it had been deleted, last before that version.
	createdAt = `
CASE WHEN s.created_at <= v.updated_at THEN s.created_at ELSE (
    SELECT MIN(c.updated_at) FROM secret_versions c
    WHERE c.secret_id = v.secret_id AND c.version <= v.version AND c.version > COALESCE((
        SELECT MAX(d.version) FROM secret_versions d
        WHERE d.secret_id = v.secret_id AND d.version < v.version AND d.sealed IS NULL), 0)) END`

	// The version of a secret at a revision is the one after which the next one
	// came later. There is no gap between versions but at the old end.
	stateAt = secretsIn + `
SELECT ` + newestAsVersion + `, s.created_at FROM secret s WHERE s.sealed IS NOT NULL AND s.revision <= ?
UNION ALL
SELECT ` + versionColumns + `, ` + createdAt + ` FROM secret s JOIN secret_versions v ON v.secret_id = s.id
WHERE s.revision > ? AND v.revision <= ? AND v.sealed IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM secret_versions w WHERE w.secret_id = v.secret_id AND w.version = v.version + 1 AND w.revision <= ?)
ORDER BY 3`

	revisionAt = secretsIn + `
SELECT COALESCE(MAX(x.revision), 0) FROM (
    SELECT s.revision, s.updated_at FROM secret s
    UNION ALL
    SELECT v.revision, v.updated_at FROM secret s JOIN secret_versions v ON v.secret_id = s.id
) x WHERE x.updated_at <= ?`

	// With each version comes what it replaced, where that is kept.
	changesBetween = secretsIn + `
SELECT x.*, p.version IS NOT NULL, COALESCE(p.key, ''), p.sealed IS NOT NULL FROM (
    SELECT ` + newestAsVersion + ` FROM secret s WHERE s.revision >= ? AND s.revision < ?
    UNION ALL
    SELECT ` + versionColumns + ` FROM secret s JOIN secret_versions v ON v.secret_id = s.id WHERE v.revision >= ? AND v.revision < ?
) x LEFT JOIN secret_versions p ON p.secret_id = x.id AND p.version = x.version - 1
ORDER BY x.revision DESC, x.key LIMIT ?`

	deletedSecrets = `
WITH deleted AS (
    SELECT d.id, ROW_NUMBER() OVER (PARTITION BY d.key ORDER BY d.revision DESC) AS place
    FROM secrets d WHERE d.environment_id = ? AND d.sealed IS NULL
)` + secretColumns + `
JOIN deleted n ON n.id = s.id AND n.place = 1
WHERE EXISTS (SELECT 1 FROM secret_versions v WHERE v.secret_id = s.id AND v.sealed IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM secrets l WHERE l.environment_id = s.environment_id AND l.key = s.key AND l.sealed IS NOT NULL)
ORDER BY s.revision DESC LIMIT ?`
)

func (v *SecretVersion) fields() []any {
	return []any{
		&v.SecretID, &v.Version, &v.Key, &v.Comment, &v.Sealed, &v.KeyFingerprint, &v.Revision,
		&v.UpdatedAt, &v.UpdatedBy.Kind, &v.UpdatedBy.ID, &v.UpdatedBy.Name,
	}
}

// AsVersion is the newest version of a secret in the form of the former ones.
func (s *Secret) AsVersion() SecretVersion {
	return SecretVersion{
		SecretID: s.ID, Version: s.Version, Key: s.Key, Comment: s.Comment, Sealed: s.Sealed, KeyFingerprint: s.KeyFingerprint,
		Revision: s.Revision, UpdatedAt: s.UpdatedAt, UpdatedBy: s.UpdatedBy,
	}
}

// FormerVersions lists up to limit former versions of a secret that are older
// than the version before, the newest first. The secret must come from a query
// that was scoped.
func (q Queries) FormerVersions(ctx context.Context, secretID, before int64, limit int) ([]SecretVersion, error) {
	return collect(ctx, q, (*SecretVersion).fields, formerVersions, secretID, before, limit)
}

// FormerVersion finds one former version of a secret.
func (q Queries) FormerVersion(ctx context.Context, secretID, version int64) (*SecretVersion, error) {
	v := new(SecretVersion)
	return v, q.hotRow(ctx, v.fields(), oneVersion, secretID, version)
}

// HistoryFrom is the revision of an environment from which on every state can be
// told.
func (q Queries) HistoryFrom(ctx context.Context, environmentID string) (revision int64, err error) {
	err = q.hotRow(ctx, []any{&revision}, `SELECT e.history_from FROM environments e WHERE e.id = ?`, environmentID)
	return revision, err
}

// SecretsAt lists the secrets of an environment by key as they were at a
// revision. It is right only from HistoryFrom on.
func (q Queries) SecretsAt(ctx context.Context, environmentID string, revision int64) ([]Secret, error) {
	type row struct {
		SecretVersion
		createdAt Micros
	}
	rows, err := collect(ctx, q, func(r *row) []any { return append(r.fields(), &r.createdAt) },
		stateAt, environmentID, environmentID, revision, revision, revision, revision)
	secrets := make([]Secret, len(rows))
	for i, r := range rows {
		secrets[i] = Secret{
			ID: r.SecretID, EnvironmentID: environmentID, Key: r.Key, Version: r.Version, Comment: r.Comment, Sealed: r.Sealed,
			KeyFingerprint: r.KeyFingerprint, Revision: r.Revision, CreatedAt: r.createdAt, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy,
		}
	}
	return secrets, err
}

// RevisionAt is the revision that an environment was at, at a time; 0 before its
// first change.
func (q Queries) RevisionAt(ctx context.Context, environmentID string, at Micros) (revision int64, err error) {
	err = q.hotRow(ctx, []any{&revision}, revisionAt, environmentID, environmentID, int64(at))
	return revision, err
}

// RevisionChange is one version that came with a revision, and what it replaced.
type RevisionChange struct {
	SecretVersion
	HasFormer     bool   // the version before is known
	FormerKey     string // its key
	FormerHadText bool   // it had a value: it was not deleted
}

// ChangesBetween lists what came with the revisions from (inclusive) to before
// (exclusive) of an environment, the newest first, up to limit.
func (q Queries) ChangesBetween(ctx context.Context, environmentID string, from, before int64, limit int) ([]RevisionChange, error) {
	return collect(ctx, q, func(c *RevisionChange) []any {
		return append(c.fields(), &c.HasFormer, &c.FormerKey, &c.FormerHadText)
	}, changesBetween, environmentID, environmentID, from, before, from, before, limit)
}

// DeletedSecrets lists the deleted secrets of an environment of which a value is
// kept, the one deleted last first, up to limit. Where several had one key it is
// the one that was deleted last; a key that is live again is not among them.
func (q Queries) DeletedSecrets(ctx context.Context, environmentID string, limit int) ([]Secret, error) {
	return collect(ctx, q, (*Secret).fields, deletedSecrets, environmentID, limit)
}

// collect scans all rows of a prepared query.
func collect[T any](ctx context.Context, q Queries, fields func(*T) []any, text string, args ...any) ([]T, error) {
	rows, err := q.hot(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		all = append(all, *new(T))
		if err := rows.Scan(fields(&all[len(all)-1])...); err != nil {
			return nil, wrap(err)
		}
	}
	return all, wrap(rows.Err())
}
