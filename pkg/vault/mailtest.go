package vault

import (
	"context"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

const (
	// mostMailTests is how many test mails an administrator may send in an hour:
	// they go to any address.
	mostMailTests   = 10
	mailTestsWithin = time.Hour
	// mailTestTimeout leaves time for an answer before the request is cut off.
	mailTestTimeout = 45 * time.Second
)

// TestMail sends a mail at once, past the queue, and tells what came of it: a
// failure is an answer and no error. For administrators; the address is that of
// the caller if none is given. More than ten within an hour are
// fault.TooManyRequests.
func (v *Vault) TestMail(ctx context.Context, p Principal, in api.TestMail) (api.MailTest, error) {
	if _, err := admit(p, ActionTestMail); err != nil {
		return api.MailTest{}, err
	}
	to := p.user.Email
	if in.To != nil {
		canonical, problem := canonicalEmail(*in.To)
		if problem != "" {
			return api.MailTest{}, fault.InvalidField("body.to", problem)
		}
		to = canonical
	}
	err := v.administer(ctx, p, ActionTestMail, func(ctx context.Context, tx store.Tx) error {
		if err := v.boundMailTests(ctx, tx, p); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionTestMail, target: to})
	})
	if err != nil {
		return api.MailTest{}, err
	}
	return v.tryMail(ctx, p, to), nil
}

// boundMailTests counts in the audit trail, where every test is.
func (v *Vault) boundMailTests(ctx context.Context, tx store.Tx, p Principal) error {
	if err := tx.LockIdempotencyKey(ctx, p.user.ID, string(ActionTestMail)); err != nil { // one is counted after the other
		return err
	}
	since := store.MicrosOf(v.now().Add(-mailTestsWithin)) + 1 // exactly an hour is enough
	rows, err := tx.AuditEvents(ctx, store.AuditFilter{ActorID: p.user.ID, Action: string(ActionTestMail), From: &since, Limit: mostMailTests})
	if err != nil || len(rows) < mostMailTests {
		return err
	}
	refusal := fault.Newf(fault.TooManyRequests, "You have sent %d test mails within an hour. Wait before you send the next.", mostMailTests)
	refusal.RetryAfter = rows[len(rows)-1].At.Time().Add(mailTestsWithin).Sub(v.now())
	return refusal
}

// tryMail sends the test and keeps what worked until something did not.
func (v *Vault) tryMail(ctx context.Context, p Principal, to string) api.MailTest {
	ctx, cancel := context.WithTimeout(ctx, mailTestTimeout)
	defer cancel()
	about := v.mailer().About()
	result := api.MailTest{To: to, Backend: about.Backend, Server: about.Server, Steps: []string{}}
	tell := func(step string) { result.Steps = append(result.Steps, step) }
	if err := v.sendTest(ctx, p, to, tell); err != nil {
		result.Detail = err.Error()
		return result
	}
	result.Sent = true
	switch about.Backend {
	case "smtp":
		result.Detail = "The mail server " + about.Server + " has accepted the mail to " + to + "."
	case "dummy":
		result.Detail = "The mail was dropped: EMAIL_BACKEND is dummy."
	default:
		result.Detail = "The mail went to the " + about.Backend + " backend; it was not sent to " + to + "."
	}
	return result
}

func (v *Vault) sendTest(ctx context.Context, p Principal, to string, tell func(string)) error {
	letter, err := v.mailer().Letter(newID(), to, *v.appURL.Load(), mail.Test{SentBy: p.user.Email, At: v.now().UTC()})
	if err != nil {
		return err
	}
	connection, err := v.mailer().Open(ctx, tell)
	if err != nil {
		return err
	}
	defer connection.Close()
	return connection.Send(ctx, letter)
}
