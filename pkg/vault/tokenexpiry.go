package vault

import (
	"context"
	"errors"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

const hour = store.Micros(time.Hour / time.Microsecond)

// tokenWarning: who made a token for more than two weeks is told a week before it
// ends; for more than two days, a day before. Shorter ones are made by programs
// or for the moment, and end as expected.
func tokenWarning() store.TokenWarning {
	return store.TokenWarning{Long: 14 * 24 * hour, Before: 7 * 24 * hour, Short: 2 * 24 * hour, ShortBefore: 24 * hour}
}

// mostWarnings bounds the tokens that one call of Maintain tells about.
const mostWarnings = 500

// warnOfTokens queues a mail about every token that expires soon: to its user, to
// the member who made it, or to the owners of its project. Each token is told of
// once, also if nobody is left to be told.
func (v *Vault) warnOfTokens(ctx context.Context) error {
	if v.Fingerprint() == "" {
		return nil // nothing can be queued yet
	}
	now := v.micros()
	expiring, err := v.store.TokensToWarnOf(ctx, now, tokenWarning(), mostWarnings)
	if err != nil {
		return err
	}
	var failures []error
	for _, t := range expiring {
		if ctx.Err() != nil {
			break
		}
		if err := v.warnOfToken(ctx, t, now); err != nil && !errors.Is(err, fault.NotFound) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (v *Vault) warnOfToken(ctx context.Context, t store.ExpiringToken, now store.Micros) error {
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		first, err := tx.MarkTokenWarned(ctx, t.ID, now)
		if err != nil || !first {
			return err
		}
		addresses, err := tx.AddressesForToken(ctx, t)
		if err != nil {
			return err
		}
		for _, address := range addresses {
			warning := mail.TokenExpires{Name: t.Name, Project: t.ProjectName, ExpiresAt: t.ExpiresAt.Time()}
			if err := v.queueMail(ctx, tx, address, warning); err != nil {
				return err
			}
		}
		return nil
	})
}
