package vault

import (
	"context"
	"time"

	"github.com/heartlock/heartlock/pkg/store"
)

// newPasswordReset makes the token of the one link by which the person of an
// account can choose a new password: at /password-reset/<token>/, once, within
// life. A link that was made before is worthless from then on. Only the digest of
// the token is stored; the token itself goes to the person and nowhere else. The
// row of the user must be locked.
func (v *Vault) newPasswordReset(ctx context.Context, tx store.Tx, user *store.User, life time.Duration) (token string, err error) {
	now := v.now()
	token = randomBase62(sessionTokenLength)
	return token, tx.PutPasswordReset(ctx, &store.PasswordReset{
		UserID: user.ID, Digest: digestOf(token), CreatedAt: store.MicrosOf(now), ExpiresAt: store.MicrosOf(now.Add(life)),
	})
}
