package store

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/fault"
)

var insertMailQueue = newInsertion("mail_queue", "id", "kind", "recipient", "sealed", "key_fingerprint",
	"created_at", "next_attempt_at", "attempts", "last_error")

// InsertQueuedMail adds a mail that is to be sent.
func (tx Tx) InsertQueuedMail(ctx context.Context, m *QueuedMail) error {
	return tx.insertRows(ctx, insertMailQueue, []any{
		m.ID, m.Kind, m.Recipient, m.Sealed, m.KeyFingerprint, int64(m.CreatedAt), int64(m.NextAttemptAt), m.Attempts, m.LastError,
	})
}

const (
	// The claim is the counting of the attempt and the time at which others may try:
	// who has not finished by then has lost the mail to them. On PostgreSQL a row
	// that another server is claiming is passed over.
	claimMail = `
UPDATE mail_queue SET attempts = attempts + 1, next_attempt_at = ? WHERE id = (
    SELECT q.id FROM mail_queue q WHERE q.sealed IS NOT NULL AND q.next_attempt_at <= ?
    ORDER BY q.next_attempt_at, q.id LIMIT 1`
	claimMailSkip = ` FOR UPDATE SKIP LOCKED`
	claimMailEnd  = `) RETURNING id, kind, recipient, sealed, key_fingerprint, created_at, attempts`

	// What a claim ends with holds only as long as nobody else has claimed the mail.
	ofClaim    = ` WHERE id = ? AND attempts = ? AND sealed IS NOT NULL`
	mailSent   = `UPDATE mail_queue SET sealed = NULL, sent_at = ?, last_error = ''` + ofClaim
	mailGiven  = `UPDATE mail_queue SET sealed = NULL, given_up_at = ?, last_error = ?` + ofClaim
	mailFailed = `UPDATE mail_queue SET next_attempt_at = ?, last_error = ?` + ofClaim
	mailBack   = `UPDATE mail_queue SET next_attempt_at = ?, attempts = attempts - 1` + ofClaim
)

// IsMailDue reports whether ClaimMail would find anything, without keeping anybody
// waiting.
func (q Queries) IsMailDue(ctx context.Context, now Micros) (due bool, err error) {
	err = q.hotRow(ctx, []any{&due}, `SELECT EXISTS (SELECT 1 FROM mail_queue q WHERE q.sealed IS NOT NULL AND q.next_attempt_at <= ?)`, int64(now))
	return due, err
}

// ClaimMail takes the mail that has been due for longest at now, so that nobody
// else sends it before until; nil if none is due. Of any number of servers that
// ask at the same time each gets another one.
func (tx Tx) ClaimMail(ctx context.Context, now, until Micros) (*QueuedMail, error) {
	text := claimMail + claimMailEnd
	if tx.engine == PostgreSQL {
		text = claimMail + claimMailSkip + claimMailEnd
	}
	m := &QueuedMail{NextAttemptAt: until}
	err := tx.hotRow(ctx, []any{&m.ID, &m.Kind, &m.Recipient, &m.Sealed, &m.KeyFingerprint, &m.CreatedAt, &m.Attempts}, text, int64(until), int64(now))
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	return m, err
}

// MailSent ends a claim: the mail was sent, and what it says is forgotten. A claim
// that was lost to another server is fault.NotFound.
func (tx Tx) MailSent(ctx context.Context, claim *QueuedMail, at Micros) error {
	return affected(tx.hotExec(ctx, mailSent, int64(at), claim.ID, claim.Attempts))
}

// MailGivenUp ends a claim: the mail will never be sent, and what it says is
// forgotten. why is for administrators.
func (tx Tx) MailGivenUp(ctx context.Context, claim *QueuedMail, at Micros, why string) error {
	return affected(tx.hotExec(ctx, mailGiven, int64(at), why, claim.ID, claim.Attempts))
}

// MailFailed ends a claim: the mail is tried again at next.
func (tx Tx) MailFailed(ctx context.Context, claim *QueuedMail, next Micros, why string) error {
	return affected(tx.hotExec(ctx, mailFailed, int64(next), why, claim.ID, claim.Attempts))
}

// MailPutBack ends a claim as if it had not been made, until next.
func (tx Tx) MailPutBack(ctx context.Context, claim *QueuedMail, next Micros) error {
	return affected(tx.hotExec(ctx, mailBack, int64(next), claim.ID, claim.Attempts))
}

// DeleteEndedMail forgets mails that were sent or given up before a time.
func (tx Tx) DeleteEndedMail(ctx context.Context, before Micros) error {
	_, err := tx.hotExec(ctx, `DELETE FROM mail_queue WHERE sealed IS NULL AND COALESCE(sent_at, given_up_at, created_at) < ?`, int64(before))
	return err
}

const mailColumns = `SELECT q.id, q.kind, q.recipient, q.created_at, q.next_attempt_at, q.attempts, q.last_error, q.given_up_at FROM mail_queue q `

func (m *QueuedMail) told() []any {
	return []any{&m.ID, &m.Kind, &m.Recipient, &m.CreatedAt, &m.NextAttemptAt, &m.Attempts, &m.LastError, &m.GivenUpAt}
}

// FailingMail lists waiting mails of which an attempt has failed: the limit that
// have waited longest. What they say is not read.
func (q Queries) FailingMail(ctx context.Context, limit int) ([]QueuedMail, error) {
	return collect(ctx, q, (*QueuedMail).told, mailColumns+`WHERE q.sealed IS NOT NULL AND q.last_error <> '' ORDER BY q.created_at, q.id LIMIT ?`, limit)
}

// GivenUpMail lists mails that were given up, the newest first.
func (q Queries) GivenUpMail(ctx context.Context, limit int) ([]QueuedMail, error) {
	return collect(ctx, q, (*QueuedMail).told, mailColumns+`WHERE q.given_up_at IS NOT NULL ORDER BY q.given_up_at DESC, q.id DESC LIMIT ?`, limit)
}

// MailCounts says how much mail there is.
type MailCounts struct {
	Waiting int64
	Oldest  *Micros // when the oldest waiting one was queued
	Sent    int64   // of those that are remembered
	GivenUp int64
}

// CountMail counts the mail.
func (q Queries) CountMail(ctx context.Context) (c MailCounts, err error) {
	err = q.hotRow(ctx, []any{&c.Waiting, &c.Oldest, &c.Sent, &c.GivenUp}, `
SELECT COUNT(sealed), MIN(CASE WHEN sealed IS NOT NULL THEN created_at END), COUNT(sent_at), COUNT(given_up_at) FROM mail_queue`)
	return c, err
}
