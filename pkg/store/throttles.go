package store

import (
	"context"
	"database/sql"
	"errors"
)

// ThrottleRule bounds the attempts that count against a subject.
type ThrottleRule struct {
	Limit  int    // attempts that may fail within Window
	Window Micros // length, from the first that counts
	Block  Micros // length of the block once Limit have failed; 0: until the window ends
}

// Throttle is a row of throttles.
type Throttle struct {
	Failures  int
	Since     Micros
	BlockedTo Micros
}

// Wait is how long an attempt has to wait, by this row at this time; 0: not at
// all. An attempt that only those have to end before which are under way waits
// for a second.
func (t Throttle) Wait(rule ThrottleRule, now Micros) Micros {
	const second = Micros(1_000_000)
	switch {
	case t.BlockedTo > now:
		return t.BlockedTo - now
	case t.BlockedTo != 0, t.Since <= now-rule.Window, t.Failures < rule.Limit:
		return 0
	case rule.Block == 0:
		return t.Since + rule.Window - now
	default:
		return second
	}
}

const (
	throttleOf = `SELECT failures, since, blocked_to FROM throttles WHERE subject = ?`

	// An attempt takes its place before it is known how it ends, in one statement,
	// so that of any number at once no more than the limit can be made.
	reserveAttempt = `
INSERT INTO throttles (subject, failures, since, blocked_to) VALUES (?, 1, ?, 0)
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN throttles.blocked_to <> 0 OR throttles.since <= ? THEN 1 ELSE throttles.failures + 1 END,
    since = CASE WHEN throttles.blocked_to <> 0 OR throttles.since <= ? THEN excluded.since ELSE throttles.since END,
    blocked_to = 0
WHERE throttles.blocked_to <= ? AND (throttles.blocked_to <> 0 OR throttles.since <= ? OR throttles.failures < ?)
RETURNING failures`

	returnAttempt = `UPDATE throttles SET failures = failures - 1 WHERE subject = ? AND failures > 0 AND blocked_to = 0`
	forgetNothing = `DELETE FROM throttles WHERE subject = ? AND failures = 0`
	blockSubject  = `UPDATE throttles SET blocked_to = ? WHERE subject = ? AND blocked_to = 0 AND failures >= ?`
	clearSubject  = `DELETE FROM throttles WHERE subject = ?`
	oldThrottles  = `DELETE FROM throttles WHERE blocked_to <= ? AND since <= ? AND (since <= ? OR subject NOT LIKE ? || '%')`
)

// Throttle is what counts against a subject; nothing is the zero Throttle.
func (q Queries) Throttle(ctx context.Context, subject string) (t Throttle, err error) {
	err = q.hotRow(ctx, []any{&t.Failures, &t.Since, &t.BlockedTo}, throttleOf, subject)
	if errors.Is(err, sql.ErrNoRows) {
		return Throttle{}, nil
	}
	return t, err
}

// ReserveAttempt counts an attempt as failed before it is made; it reports false,
// and changes nothing, if the subject is blocked or has none left.
func (tx Tx) ReserveAttempt(ctx context.Context, subject string, rule ThrottleRule, now Micros) (bool, error) {
	expired := now - rule.Window
	var failures int
	err := tx.hotRow(ctx, []any{&failures}, reserveAttempt, subject, now, expired, expired, now, expired, rule.Limit)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// ReturnAttempt takes a reserved attempt back that was not made, or did not fail.
func (tx Tx) ReturnAttempt(ctx context.Context, subject string) error {
	if _, err := tx.hotExec(ctx, returnAttempt, subject); err != nil {
		return err
	}
	_, err := tx.hotExec(ctx, forgetNothing, subject)
	return err
}

// BlockIfSpent begins a block if the subject has no attempt left, and reports
// whether this is what began it.
func (tx Tx) BlockIfSpent(ctx context.Context, subject string, rule ThrottleRule, now Micros) (bool, error) {
	result, err := tx.hotExec(ctx, blockSubject, now+rule.Block, subject, rule.Limit)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, wrap(err)
}

// ClearThrottle forgets what counts against a subject.
func (tx Tx) ClearThrottle(ctx context.Context, subject string) error {
	_, err := tx.hotExec(ctx, clearSubject, subject)
	return err
}

// DeleteThrottles removes what began before since and blocks nobody any more; of
// the subjects whose names begin with slow only what began before slowSince.
func (tx Tx) DeleteThrottles(ctx context.Context, now, since Micros, slow string, slowSince Micros) error {
	_, err := tx.hotExec(ctx, oldThrottles, now, since, slowSince, slow)
	return err
}
