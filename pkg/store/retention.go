package store

import "context"

// RetentionRule says which former versions of secrets have had their time. A
// version that either limit speaks against goes; the newest version of a secret
// never does.
type RetentionRule struct {
	Keep   int64  // how many former versions of a secret stay at least; negative: all
	Before Micros // those that were superseded before this time go; 0: none
}

// allVersions is more than any secret has.
const allVersions = int64(1) << 40

func (r RetentionRule) keep() int64 {
	if r.Keep < 0 {
		return allVersions
	}
	return r.Keep
}

// Outdated is a secret of which former versions have had their time.
type Outdated struct {
	SecretID int64
	Before   int64 // the versions before this one go
	Versions int64 // how many they are
	Revision int64 // of the environment, at which the last of them was superseded
}

// What has had its time is the old end of a secret's versions: everything before
// the first version that stays. So no gap can come up between versions, whatever
// the clocks of the servers said.
//
// Mostly that is nothing, so the oldest version of each secret is looked at first,
// which its primary key finds, and the rest only of those where it has to go.
const (
	outdated = `
WITH secret AS (
    SELECT s.id, s.version, s.revision, s.updated_at FROM secrets s WHERE s.environment_id = ? AND s.sealed IS NOT NULL
    UNION ALL
    SELECT s.id, s.version, s.revision, s.updated_at FROM secrets s WHERE s.environment_id = ? AND s.sealed IS NULL
), bounds AS (
    SELECT s.id, s.version, s.revision, s.version - ? AS by_number,
           CASE WHEN s.updated_at < ? THEN s.version ELSE COALESCE((
               SELECT MAX(w.version) FROM secret_versions w WHERE w.secret_id = s.id AND w.updated_at < ?), 0) END AS by_age
    FROM secret s
    WHERE EXISTS (SELECT 1 FROM secret_versions v WHERE v.secret_id = s.id AND v.version < s.version - ?)
       OR COALESCE((SELECT v.updated_at FROM secret_versions v WHERE v.secret_id = s.id ORDER BY v.version LIMIT 1 OFFSET 1), s.updated_at) < ?
), bound AS (
    SELECT b.id, b.version, b.revision, CASE WHEN b.by_number > b.by_age THEN b.by_number ELSE b.by_age END AS stays FROM bounds b
), counted AS (
    SELECT b.id, b.version, b.revision, b.stays,
           (SELECT COUNT(*) FROM secret_versions v WHERE v.secret_id = b.id AND v.version < b.stays) AS versions
    FROM bound b
)
SELECT c.id, c.stays, c.versions,
       CASE WHEN c.stays = c.version THEN c.revision ELSE (
           SELECT n.revision FROM secret_versions n WHERE n.secret_id = c.id AND n.version = c.stays) END
FROM counted c WHERE c.versions > 0 ORDER BY c.id`

	deleteOutdated = `
DELETE FROM secret_versions WHERE secret_id = (SELECT s.id FROM secrets s WHERE s.id = ? AND s.environment_id = ?) AND version IN (
    SELECT v.version FROM secret_versions v WHERE v.secret_id = ? AND v.version < ? ORDER BY v.version LIMIT ?)`

	environmentsAfter = `SELECT e.id, e.project_id, e.slug FROM environments e WHERE e.id > ? ORDER BY e.id LIMIT ?`
	lockEnvironment   = `SELECT e.history_from FROM environments e WHERE e.id = ?`
)

// EnvironmentsAfter walks all environments of the installation by id, for work
// that no caller asked for: up to limit of those after an id ("" is the start).
// Only id, project and slug are filled.
func (q Queries) EnvironmentsAfter(ctx context.Context, after string, limit int) ([]Environment, error) {
	return collect(ctx, q, func(e *Environment) []any { return []any{&e.ID, &e.ProjectID, &e.Slug} }, environmentsAfter, after, limit)
}

// Outdated lists the secrets of an environment of which former versions have had
// their time. What has had it once has had it for ever, so the list can be acted
// upon later.
func (q Queries) Outdated(ctx context.Context, environmentID string, rule RetentionRule) ([]Outdated, error) {
	keep, before := rule.keep(), int64(rule.Before)
	return collect(ctx, q, func(o *Outdated) []any { return []any{&o.SecretID, &o.Before, &o.Versions, &o.Revision} },
		outdated, environmentID, environmentID, keep, before, before, keep, before)
}

// LockEnvironment keeps an environment from being changed by anyone else until
// the transaction ends. One that is gone is fault.NotFound.
func (tx Tx) LockEnvironment(ctx context.Context, id string) error {
	text := lockEnvironment
	if tx.engine == PostgreSQL {
		text += " FOR UPDATE"
	}
	var from int64
	return tx.hotRow(ctx, []any{&from}, text, id)
}

// RaiseHistoryFrom notes that states of an environment before a revision can not
// be told any more.
func (tx Tx) RaiseHistoryFrom(ctx context.Context, environmentID string, revision int64) error {
	_, err := tx.hotExec(ctx, `UPDATE environments SET history_from = ? WHERE id = ? AND history_from < ?`, revision, environmentID, revision)
	return err
}

// DeleteOutdated removes up to limit former versions of a secret that have had
// their time, the oldest first. RaiseHistoryFrom has to come before, with the
// revision of o.
func (tx Tx) DeleteOutdated(ctx context.Context, environmentID string, o Outdated, limit int64) (int64, error) {
	result, err := tx.hotExec(ctx, deleteOutdated, o.SecretID, environmentID, o.SecretID, o.Before, limit)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return n, wrap(err)
}
