package diagnosis

import (
	"context"
	"fmt"
	"time"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/store"
)

// mailMayWait is how long a mail may wait before it is a finding: a mail server
// that is restarted is none.
const mailMayWait = time.Hour

// mail reports where mail goes, and mail that does not get there.
func (e *examination) mail(ctx context.Context, st *store.Store) {
	counts, err := st.CountMail(ctx)
	if err != nil {
		e.failed(subjectMail, err)
		return
	}
	if counts.Oldest != nil && time.Since(counts.Oldest.Time()) > mailMayWait {
		why := "No server that runs has tried to send it."
		failing, err := st.FailingMail(ctx, 1)
		switch {
		case err != nil:
			e.failed(subjectMail, err)
			return
		case len(failing) > 0:
			why = failing[0].LastError
		}
		e.found(Warning, subjectMail, fmt.Sprintf("%s, the oldest for %s. %s", count(counts.Waiting, "mail waits", "mails wait"), age(time.Since(counts.Oldest.Time())), why))
		return
	}
	if m := e.config.Mail; m.Backend == config.MailSMTP {
		e.right(subjectMail, fmt.Sprintf("goes to %s:%d (%s) as %s", m.Host, m.Port, m.TLS, m.From.Address))
	}
}
