package vault

import (
	"context"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/store"
)

// MailStatus describes the mail of the installation to its administrators: where
// it goes, what waits, and what has failed. What the mails say is not in it.
func (v *Vault) MailStatus(ctx context.Context, p Principal) (api.MailStatus, error) {
	if _, err := admit(p, ActionReadMail); err != nil {
		return api.MailStatus{}, err
	}
	about := v.mailer().About()
	answer := api.MailStatus{
		Backend: about.Backend, Server: about.Server, Security: about.TLS, User: about.User, From: v.mailer().From.String(),
	}
	err := v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		counts, err := q.CountMail(ctx)
		if err != nil {
			return err
		}
		answer.Waiting, answer.OldestAt, answer.Sent = counts.Waiting, timeOf(counts.Oldest), counts.Sent
		failing, err := q.FailingMail(ctx, mostTold)
		if err != nil {
			return err
		}
		givenUp, err := q.GivenUpMail(ctx, mostTold)
		answer.Failing, answer.GivenUp = apiMails(failing), apiMails(givenUp)
		return err
	})
	return answer, err
}

// mostTold is how many mails of a kind an administrator is told of.
const mostTold = 50

func apiMails(rows []store.QueuedMail) []api.QueuedMail {
	all := make([]api.QueuedMail, len(rows))
	for i := range rows {
		row := &rows[i]
		all[i] = api.QueuedMail{
			ID: row.ID, Kind: row.Kind, Recipient: row.Recipient, CreatedAt: row.CreatedAt.Time(), Attempts: row.Attempts,
			LastError: row.LastError, GivenUpAt: timeOf(row.GivenUpAt),
		}
		if row.GivenUpAt == nil {
			next := row.NextAttemptAt.Time()
			all[i].NextAttemptAt = &next
		}
	}
	return all
}
