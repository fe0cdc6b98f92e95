package vault

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// LocalUsers lists the accounts from the server itself; as Users.
func (v *Vault) LocalUsers(ctx context.Context, p Principal, query UserQuery) (api.Page[api.User], error) {
	if _, err := admit(p, ActionListUsersLocally); err != nil {
		return api.Page[api.User]{}, err
	}
	return v.users(ctx, query)
}

// LocalChange is what a command on the server itself can do with an account.
type LocalChange struct {
	action Action
	change api.UpdateUser
}

// The changes of accounts from the server itself follow. Their rules are those of
// UpdateUser.

// LocalActivate switches an account on.
func LocalActivate() LocalChange {
	return LocalChange{ActionActivateLocally, api.UpdateUser{IsActive: new(true)}}
}

// LocalDeactivate switches an account off.
func LocalDeactivate() LocalChange {
	return LocalChange{ActionDeactivateLocally, api.UpdateUser{IsActive: new(false)}}
}

// LocalGrant makes an account an administrator.
func LocalGrant() LocalChange {
	return LocalChange{ActionGrantLocally, api.UpdateUser{IsSuperuser: new(true)}}
}

// LocalRevoke makes an administrator an account like others.
func LocalRevoke() LocalChange {
	return LocalChange{ActionRevokeLocally, api.UpdateUser{IsSuperuser: new(false)}}
}

// ChangeUserLocally changes the account of an address from the server itself, and
// returns it. That it is already so is no error.
func (v *Vault) ChangeUserLocally(ctx context.Context, p Principal, address string, c LocalChange) (answer api.User, err error) {
	email, problem := canonicalEmail(address)
	if problem != "" {
		return answer, fault.InvalidField("email", problem)
	}
	err = v.administer(ctx, p, c.action, func(ctx context.Context, tx store.Tx) error {
		found, err := tx.UserByEmail(ctx, email)
		if errors.Is(err, fault.NotFound) {
			return fault.Wrap(fault.NotFound, err, "There is no account with this address.")
		}
		if err != nil {
			return err
		}
		user, err := tx.UserByID(ctx, found.ID) // and locks it
		if err != nil {
			return err
		}
		if err := v.changeUser(ctx, tx, p, c.action, user, c.change); err != nil {
			return err
		}
		view, err := tx.UserViewByID(ctx, user.ID)
		if err == nil {
			answer = apiUser(view)
		}
		return err
	})
	return answer, err
}
