package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// The grounds on which an identity opens an account. They stand in the audit trail.
const (
	linkedByPerson   = "person"   // who was signed in to the account
	linkedByAddress  = "email"    // the account has the address that the provider vouches for
	linkedByCreation = "creation" // the account was made for it
)

var (
	errIdentityTaken = fault.New(fault.Conflict, "You are somebody at the identity provider whose identity opens another account here.")
	errIdentityThere = fault.New(fault.Conflict, "Your account is connected with somebody else at this identity provider already. Remove that connection first.")
	errOnlyWayIn     = fault.New(fault.Conflict, "Your account has no password, so the identity provider is the only way into it. Ask an administrator for a link to choose a password first.")
)

// Identities lists the identities that open the caller's account.
func (v *Vault) Identities(ctx context.Context, p Principal) (api.Page[api.Identity], error) {
	page := api.Page[api.Identity]{Results: []api.Identity{}}
	if _, err := admit(p, ActionListIdentities); err != nil {
		return page, err
	}
	rows, err := v.store.IdentitiesOfUser(ctx, p.user.ID)
	for i := range rows {
		page.Results = append(page.Results, api.Identity{
			ID: identityID(&rows[i]), Provider: rows[i].Provider, Email: rows[i].Email,
			CreatedAt: rows[i].CreatedAt.Time(), LastLoginAt: timeOf(rows[i].LastLoginAt),
		})
	}
	return page, err
}

// BeginLink begins to link an identity to the caller's account: the browser goes
// to the provider and comes back to FinishSSO. A session alone must not be enough
// to open a second way into an account, so the password and a code of the second
// factor are asked for, as far as the account has them; wrong ones are
// fault.Invalid. browser is as for BeginSSO.
func (v *Vault) BeginLink(ctx context.Context, p Principal, browser string, in api.LinkIdentity) (SSOAttempt, error) {
	if _, err := admit(p, ActionLinkIdentity); err != nil {
		return SSOAttempt{}, err
	}
	if err := v.ssoReady(ctx); err != nil {
		return SSOAttempt{}, err
	}
	if p.user.PasswordHash != "" {
		if err := v.provePassword(ctx, p, ActionLinkIdentity, "body.current_password", in.CurrentPassword); err != nil {
			return SSOAttempt{}, err
		}
	}
	if err := v.proveCode(ctx, p, ActionLinkIdentity, in.Code); err != nil {
		return SSOAttempt{}, err
	}
	return v.beginAttempt(ctx, p, browser, in.Next, func(ctx context.Context, do func(context.Context, store.Tx, *string) error) error {
		return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error { return do(ctx, tx, &p.user.ID) })
	})
}

// linkIdentity links an identity to the account of userID, to which p must still be
// signed in: what one browser began no other account gets.
func (v *Vault) linkIdentity(ctx context.Context, p Principal, userID string, who SSOIdentity) error {
	if p.session == nil || p.user == nil || p.user.ID != userID {
		return errSSOOtherSession
	}
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		user, err := tx.UserByID(ctx, userID) // locks it
		if err != nil {
			return err
		}
		identity, err := v.identityOf(ctx, tx, who)
		switch {
		case err == nil && identity.UserID == user.ID: // linked before
			return nil
		case err == nil:
			return errIdentityTaken
		case !errors.Is(err, fault.NotFound):
			return err
		}
		others, err := tx.IdentitiesOfUser(ctx, user.ID)
		if err != nil {
			return err
		}
		for i := range others {
			if others[i].Provider == who.Provider {
				return errIdentityThere
			}
		}
		return v.addIdentity(ctx, tx, p, user, who, linkedByPerson)
	})
}

// Unlink removes an identity from the caller's account. The other sessions that
// began at the identity provider end: it may have been somebody else's. It is refused if the
// account has no password: nobody could sign in to it any more.
func (v *Vault) Unlink(ctx context.Context, p Principal, id string) error {
	if _, err := admit(p, ActionUnlinkIdentity); err != nil {
		return err
	}
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		user, err := tx.UserByID(ctx, p.user.ID) // locks it
		if err != nil {
			return err
		}
		rows, err := tx.IdentitiesOfUser(ctx, user.ID)
		if err != nil {
			return err
		}
		for i := range rows {
			if identityID(&rows[i]) == id {
				return v.removeIdentity(ctx, tx, p, user, &rows[i])
			}
		}
		return errNotFound
	})
}

func (v *Vault) removeIdentity(ctx context.Context, tx store.Tx, p Principal, user *store.User, identity *store.Identity) error {
	if user.PasswordHash == "" {
		return errOnlyWayIn
	}
	if err := tx.DeleteIdentity(ctx, user.ID, identity.Provider, identity.Subject); err != nil {
		return err
	}
	if err := tx.DeleteProviderSessions(ctx, user.ID, p.SessionID()); err != nil {
		return err
	}
	if err := v.tellOfIdentity(ctx, tx, p.Request, user, identity, false); err != nil {
		return err
	}
	return v.record(ctx, tx, p, event{
		action: ActionUnlinkIdentity, target: user.Email, detail: map[string]string{"provider": identity.Provider},
	})
}

// tellOfIdentity tells a person of a way into his account that is new or gone.
func (v *Vault) tellOfIdentity(ctx context.Context, tx store.Tx, r Request, user *store.User, identity *store.Identity, linked bool) error {
	return v.notify(ctx, tx, user.Email, mail.IdentityChanged{
		Linked: linked, Provider: identity.Provider, Account: identity.Email, At: v.now().UTC(), IP: addressText(r.IP),
	})
}

// identityID names an identity in addresses: 32 hexadecimal digits that depend on
// nothing but what identifies it.
func identityID(identity *store.Identity) string {
	sum := sha256.Sum256([]byte(identity.Provider + "\x00" + identity.Subject))
	return hex.EncodeToString(sum[:16])
}

// HomeURL is the public address of this server, without a slash at its end; "" if
// it is not known.
func (v *Vault) HomeURL(p Principal) string {
	address, err := v.link(p, "")
	if err != nil {
		return ""
	}
	return address
}
