package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/uptrace/bun"
)

// AuditFilter narrows a look at the audit trail; zero fields do not narrow.
type AuditFilter struct {
	ProjectID       string // empty: of the whole installation
	ActorID         string // a user's or token's id
	Action          string
	Outcome         string
	EnvironmentName string // slug, as it was then
	Target          string
	From, To        *Micros // from inclusive, to exclusive
	Before          int64   // only events older than the one with this id
	Limit           int     // only of AuditEvents
}

func (f *AuditFilter) apply(query *bun.SelectQuery) *bun.SelectQuery {
	for _, is := range [...]struct{ column, value string }{
		{"project_id", f.ProjectID},
		{"actor_id", f.ActorID},
		{"action", f.Action},
		{"outcome", f.Outcome},
		{"environment_name", f.EnvironmentName},
		{"target", f.Target},
	} {
		if is.value != "" {
			query = query.Where("a.? = ?", bun.Ident(is.column), is.value)
		}
	}
	if f.From != nil {
		query = query.Where("a.at >= ?", *f.From)
	}
	if f.To != nil {
		query = query.Where("a.at < ?", *f.To)
	}
	if f.Before > 0 {
		query = query.Where("a.id < ?", f.Before)
	}
	return query
}

// AuditEvents reads the audit trail, newest first.
func (q Queries) AuditEvents(ctx context.Context, f AuditFilter) ([]AuditEvent, error) {
	var rows []AuditEvent
	err := f.apply(q.db.NewSelect().Model(&rows)).OrderExpr("a.id DESC").Limit(int64(f.Limit)).Scan(ctx)
	return rows, wrap(err)
}

// EachAuditEvent calls do with every event, oldest first. The event is valid until
// do returns. What it takes is memory for one event, and on PostgreSQL as long as
// the session's limits allow: see BeginDump.
func (q Queries) EachAuditEvent(ctx context.Context, f AuditFilter, do func(*AuditEvent) error) error {
	query := f.apply(q.db.NewSelect().TableExpr("audit_events AS a").
		ColumnExpr("a.id, a.at, a.mac, a." + strings.Join(auditColumns, ", a."))).OrderExpr("a.id")
	rows, err := query.Rows(ctx)
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = rows.Close() }()
	var e AuditEvent
	dest := []any{
		&e.ID, &e.At, &e.MAC, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Action, &e.Outcome, &e.ProjectID, &e.EnvironmentName,
		&e.Target, &e.Detail, &e.IP, &e.UserAgent, &e.RequestID, &e.Credential,
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return wrap(err)
		}
		if err := do(&e); err != nil {
			return err
		}
	}
	return wrap(rows.Err())
}

// AuditSpan is the id of the oldest event, and that of the first one that is not
// from before a time; if all are, that of the newest. Both are 0 if there is none.
func (q Queries) AuditSpan(ctx context.Context, before Micros) (oldest, stays int64, err error) {
	var newest int64
	err = q.hotRow(ctx, []any{&oldest, &newest}, `SELECT COALESCE(MIN(id), 0), COALESCE(MAX(id), 0) FROM audit_events`)
	if err != nil || oldest == 0 {
		return 0, 0, err
	}
	err = q.hotRow(ctx, []any{&stays}, `SELECT id FROM audit_events WHERE at >= ? ORDER BY id LIMIT 1`, int64(before))
	if errors.Is(err, sql.ErrNoRows) {
		return oldest, newest, nil
	}
	return oldest, stays, err
}

// OldestAuditEvent is the id of the oldest event; 0 if there is none.
func (q Queries) OldestAuditEvent(ctx context.Context) (id int64, err error) {
	err = q.hotRow(ctx, []any{&id}, `SELECT COALESCE(MIN(id), 0) FROM audit_events`)
	return id, err
}

// errAuditGap says that an event is missing where the trail is to be cut.
var errAuditGap = errors.New("an event of the audit trail is missing; nothing more is removed from it")

// DeleteAuditBefore removes the events before the one with an id, and has the
// chain begin there when the transaction commits. It returns how many were there
// and the MAC that the chain goes on from; nil if they are from before the chain.
// An event that says so has to be inserted in the same transaction. If another
// server was quicker, it removes nothing.
func (tx Tx) DeleteAuditBefore(ctx context.Context, id int64) (n int64, mac []byte, err error) {
	var oldest, last int64
	err = tx.hotRow(ctx, []any{&oldest, &last}, `SELECT COALESCE(MIN(id), 0), COALESCE(MAX(id), 0) FROM audit_events WHERE id < ?`, id)
	if err != nil || oldest == 0 {
		return 0, nil, err
	}
	if last != id-1 {
		// Only the ids of a chain have no gaps.
		if chain, err := tx.AuditChain(ctx); err != nil || chain != nil && id > chain.FirstID {
			return 0, nil, errors.Join(err, errAuditGap)
		}
	}
	err = tx.hotRow(ctx, []any{&mac}, `SELECT mac FROM audit_events WHERE id < ? AND mac IS NOT NULL ORDER BY id DESC LIMIT 1`, id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, nil, err
	}
	result, err := tx.hotExec(ctx, `DELETE FROM audit_events WHERE id < ?`, id)
	if err != nil {
		return 0, nil, err
	}
	if n, err = result.RowsAffected(); err != nil || n == 0 {
		return 0, nil, wrap(err)
	}
	if mac != nil {
		tx.pending.begin = &chainStart{id, mac}
	}
	return n, mac, nil
}
