package store

import (
	"context"
	"errors"
	"strings"

	"github.com/heartlock/heartlock/pkg/fault"
)

// pending is what a transaction does to the audit trail just before it commits.
type pending struct {
	chain  *chain
	events []AuditEvent
	begin  *chainStart // where the chain begins from then on
}

// chainStart is where the chain begins.
type chainStart struct {
	id  int64
	mac []byte // the one before
}

// InsertAuditEvents appends to the audit trail, as the last thing that the
// transaction does: it does not see these events itself.
func (tx Tx) InsertAuditEvents(_ context.Context, events []AuditEvent) error {
	for i := range events {
		if err := refuseNUL(auditTexts(&events[i])); err != nil {
			return err
		}
	}
	tx.pending.events = append(tx.pending.events, events...)
	return nil
}

// flush appends the events of the transaction. It is the last thing before the
// commit: from here on everybody else who writes events waits for that.
func (tx Tx) flush(ctx context.Context) error {
	if len(tx.pending.events) == 0 {
		return nil
	}
	return unrecorded(tx.appendPending(ctx))
}

// unrecorded words that something was refused because it could not be recorded:
// the caller did nothing wrong and may try again.
func unrecorded(err error) error {
	err = wrap(err)
	if err == nil || fault.KindOf(err) != fault.Internal {
		return err
	}
	return fault.Wrap(fault.Unavailable, err, "The audit trail can not be written, so nothing was done.")
}

func (tx Tx) appendPending(ctx context.Context) error {
	p := tx.pending
	if head := p.chain.known(); head != nil && p.begin == nil {
		if appended, err := tx.appendEvents(ctx, p.chain, *head, p.events); err != nil || appended {
			return err
		}
	}
	head, events, err := tx.lockChain(ctx)
	if err != nil {
		return err
	}
	appended, err := tx.appendEvents(ctx, p.chain, head, events)
	if err == nil && !appended {
		err = errors.New("the chain of the audit trail was changed while it was locked")
	}
	return err
}

// lockChain reads the end of the chain and keeps everybody else from appending,
// with the events that are to be appended. If the chain has no secret key and can
// have one, it gets it.
func (tx Tx) lockChain(ctx context.Context) (head chainHead, events []AuditEvent, err error) {
	p := tx.pending
	row, err := tx.AuditChain(ctx)
	if err != nil {
		return head, nil, err
	}
	var fresh *NewChainKey
	if row == nil || row.Sealed == nil {
		// Before the lock, because it takes one itself.
		if fresh, err = p.chain.newKey(ctx, tx); err != nil {
			return head, nil, err
		}
	}
	if row == nil {
		if err := tx.insertChain(ctx); err != nil {
			return head, nil, err
		}
	}
	if head, err = tx.readChain(ctx); err != nil {
		return head, nil, err
	}
	events = p.events
	if fresh != nil && head.Sealed == nil {
		events = append([]AuditEvent{fresh.Event}, events...)
		head.Sealed, head.KeyFingerprint, head.key = &fresh.Sealed, fresh.Fingerprint, fresh.Key
		if _, err := tx.hotExec(ctx, `UPDATE audit_chain SET sealed = ?, key_fingerprint = ? WHERE id = 1`, fresh.Sealed, fresh.Fingerprint); err != nil {
			return head, nil, err
		}
	} else if head.key, err = p.chain.open(&head.AuditChain); err != nil {
		return head, nil, err
	}
	if p.begin != nil && p.begin.id > head.FirstID {
		head.FirstID, head.FirstMAC = p.begin.id, p.begin.mac
	}
	return head, events, nil
}

const chainColumns = `first_id, first_mac, last_id, last_mac, head_mac, sealed, key_fingerprint`

func (row *AuditChain) dest() []any {
	return []any{&row.FirstID, &row.FirstMAC, &row.LastID, &row.LastMAC, &row.HeadMAC, &row.Sealed, &row.KeyFingerprint}
}

// AuditChain is where the chain begins and ends; nil if there is none yet.
func (q Queries) AuditChain(ctx context.Context) (*AuditChain, error) {
	row := &AuditChain{ID: 1}
	err := q.hotRow(ctx, row.dest(), `SELECT `+chainColumns+` FROM audit_chain WHERE id = 1`)
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	return row, err
}

// readChain reads the row of the chain and, on PostgreSQL, locks it.
func (tx Tx) readChain(ctx context.Context) (head chainHead, err error) {
	text := `SELECT ` + chainColumns + `, (SELECT COALESCE(MAX(id), 0) FROM audit_events) FROM audit_chain WHERE id = 1`
	if tx.engine == PostgreSQL {
		text += " FOR UPDATE"
	}
	head.ID = 1
	var greatest int64
	err = tx.hotRow(ctx, append(head.dest(), &greatest), text)
	head.next = max(greatest, head.LastID) + 1
	return head, err
}

// insertChain begins the chain after the events that are there, unless somebody
// else does so at this moment.
func (tx Tx) insertChain(ctx context.Context) error {
	var greatest int64
	if err := tx.hotRow(ctx, []any{&greatest}, `SELECT COALESCE(MAX(id), 0) FROM audit_events`); err != nil {
		return err
	}
	none := make([]byte, MACSize)
	row := AuditChain{FirstID: greatest + 1, FirstMAC: none, LastID: greatest, LastMAC: none}
	_, err := tx.hotExec(ctx, `INSERT INTO audit_chain (id, first_id, first_mac, last_id, last_mac, head_mac, sealed, key_fingerprint)
VALUES (1, ?, ?, ?, ?, ?, NULL, '') ON CONFLICT (id) DO NOTHING`,
		row.FirstID, none, row.LastID, none, NewChainer(NoChainKey()).Head(&row))
	return err
}

// ForgetChain has the next event, which may be one of this transaction, begin a new
// chain behind all that is there, because nobody has the key of the present one.
func (tx Tx) ForgetChain(ctx context.Context) error {
	_, err := tx.db.ExecContext(ctx, "DELETE FROM audit_chain")
	return wrap(err)
}

// appendEvents puts events behind head, if that is still the end of the chain, and
// reports whether it was. What it leaves in the memory of the chain is compared
// with the database when it is used, so it does no harm if the transaction fails.
func (q Queries) appendEvents(ctx context.Context, c *chain, head chainHead, events []AuditEvent) (appended bool, err error) {
	chainer := NewChainer(head.key)
	linked, former := make([]AuditEvent, len(events)), head.HeadMAC
	first := head.next
	for i, e := range events {
		e.ID = head.next
		e.MAC = chainer.Event(head.LastMAC, &e)
		head.LastID, head.LastMAC, head.next = e.ID, e.MAC, e.ID+1
		linked[i] = e
	}
	head.HeadMAC = chainer.Head(&head.AuditChain)
	if q.engine == PostgreSQL {
		appended, err = q.appendAtOnce(ctx, &head.AuditChain, former, first, linked)
	} else {
		appended, err = q.appendEach(ctx, &head.AuditChain, former, first, linked)
	}
	if err == nil && appended {
		c.head.Store(&head)
	}
	return appended, err
}

// moveChain asks for the greatest id, and not whether there is one from first on:
// that PostgreSQL may answer by reading the whole table.
const moveChain = `UPDATE audit_chain SET first_id = ?, first_mac = ?, last_id = ?, last_mac = ?, head_mac = ?
WHERE id = 1 AND head_mac = ? AND COALESCE((SELECT MAX(id) FROM audit_events), 0) < ?`

func moveValues(to *AuditChain, former []byte, first int64) []any {
	return []any{to.FirstID, to.FirstMAC, to.LastID, to.LastMAC, to.HeadMAC, former, first}
}

// appendEach is for SQLite, where a statement costs little. It runs in a
// transaction.
func (q Queries) appendEach(ctx context.Context, to *AuditChain, former []byte, first int64, events []AuditEvent) (bool, error) {
	moved, err := q.hotExec(ctx, moveChain, moveValues(to, former, first)...)
	if err != nil {
		return false, err
	}
	if n, err := moved.RowsAffected(); err != nil || n == 0 {
		return false, wrap(err)
	}
	return true, q.insertRows(ctx, insertAuditEvents, auditValues(events))
}

// appendAtOnce is for PostgreSQL: one statement for any number of events, whose
// text is always the same.
func (q Queries) appendAtOnce(ctx context.Context, to *AuditChain, former []byte, first int64, events []AuditEvent) (bool, error) {
	result, err := q.hotExec(ctx, appendEvents, append(moveValues(to, former, first), auditArrays(events)...)...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, wrap(err)
}

var (
	auditColumns = []string{
		"actor_kind", "actor_id", "actor_name", "action", "outcome", "project_id", "environment_name", "target", "detail",
		"ip", "user_agent", "request_id", "credential",
	}
	insertAuditEvents = newInsertion("audit_events", append([]string{"id", "at", "mac"}, auditColumns...)...)

	appendEvents = `WITH moved AS (` + moveChain + ` RETURNING 1)
INSERT INTO audit_events (id, at, mac, ` + strings.Join(auditColumns, ", ") + `)
SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::bytea[]` + strings.Repeat(", ?::text[]", len(auditColumns)) + `) WHERE EXISTS (SELECT 1 FROM moved)`
)

// auditTexts are the columns of auditColumns.
func auditTexts(e *AuditEvent) []any {
	return []any{
		e.Actor.Kind, e.Actor.ID, e.Actor.Name, e.Action, e.Outcome, e.ProjectID, e.EnvironmentName, e.Target, e.Detail,
		e.IP, e.UserAgent, e.RequestID, e.Credential,
	}
}

func auditValues(events []AuditEvent) []any {
	values := make([]any, 0, len(events)*insertAuditEvents.columns)
	for i := range events {
		e := &events[i]
		values = append(append(values, e.ID, int64(e.At), e.MAC), auditTexts(e)...)
	}
	return values
}

// auditArrays are the columns of events, each as one array.
func auditArrays(events []AuditEvent) []any {
	ids, times, macs := make([]int64, len(events)), make([]int64, len(events)), make([][]byte, len(events))
	texts := make([][]string, len(auditColumns))
	for c := range texts {
		texts[c] = make([]string, len(events))
	}
	for i := range events {
		e := &events[i]
		ids[i], times[i], macs[i] = e.ID, int64(e.At), e.MAC
		for c, text := range auditTexts(e) {
			texts[c][i], _ = text.(string)
		}
	}
	arrays := []any{ids, times, macs}
	for _, column := range texts {
		arrays = append(arrays, column)
	}
	return arrays
}
