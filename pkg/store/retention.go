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

func (r RetentionRule) args(environmentID string) []any {
	keep := r.Keep
	if keep < 0 {
		keep = allVersions
	}
	return []any{environmentID, environmentID, keep, int64(r.Before), int64(r.Before)}
}

// What has had its time is the old end of a secret's versions: everything before
// the first version that stays. So no gap can come up between versions, whatever
// the clocks of the servers said.
const (
	outdated = secretsIn + `, bounds AS (
    SELECT s.id, s.revision, s.version - ? AS by_number,
           CASE WHEN s.updated_at < ? THEN s.version ELSE COALESCE((
               SELECT MAX(w.version) FROM secret_versions w WHERE w.secret_id = s.id AND w.updated_at < ?), 0) END AS by_age
    FROM secret s
), outdated AS (
    SELECT v.secret_id, v.version, COALESCE(n.revision, b.revision) AS superseded_at
    FROM bounds b
    JOIN secret_versions v ON v.secret_id = b.id AND v.version < CASE WHEN b.by_number > b.by_age THEN b.by_number ELSE b.by_age END
    LEFT JOIN secret_versions n ON n.secret_id = v.secret_id AND n.version = v.version + 1
)`
	countOutdated  = outdated + ` SELECT COUNT(*), COALESCE(MAX(o.superseded_at), 0) FROM outdated o`
	deleteOutdated = outdated + `
DELETE FROM secret_versions WHERE (secret_id, version) IN (
    SELECT o.secret_id, o.version FROM outdated o WHERE o.superseded_at <= ? ORDER BY o.secret_id, o.version LIMIT ?)`

	environmentsAfter = `SELECT e.id, e.project_id, e.slug FROM environments e WHERE e.id > ? ORDER BY e.id LIMIT ?`
	lockEnvironment   = `SELECT e.history_from FROM environments e WHERE e.id = ?`
)

// EnvironmentsAfter walks all environments of the installation by id, for work
// that no caller asked for: up to limit of those after an id ("" is the start).
// Only id, project and slug are filled.
func (q Queries) EnvironmentsAfter(ctx context.Context, after string, limit int) ([]Environment, error) {
	return collect(ctx, q, func(e *Environment) []any { return []any{&e.ID, &e.ProjectID, &e.Slug} }, environmentsAfter, after, limit)
}

// CountOutdated counts the former versions in an environment that have had their
// time, and tells from which revision on every state of it can be told without
// them.
func (q Queries) CountOutdated(ctx context.Context, environmentID string, rule RetentionRule) (n, from int64, err error) {
	err = q.hotRow(ctx, []any{&n, &from}, countOutdated, rule.args(environmentID)...)
	return n, from, err
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

// DeleteOutdated removes up to limit former versions that have had their time and
// were superseded up to a revision, the oldest of each secret first.
// RaiseHistoryFrom has to come before, with that revision.
func (tx Tx) DeleteOutdated(ctx context.Context, environmentID string, rule RetentionRule, from int64, limit int) (int64, error) {
	result, err := tx.hotExec(ctx, deleteOutdated, append(rule.args(environmentID), from, limit)...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return n, wrap(err)
}
