package vault

import (
	"context"
	"maps"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// errLastSuperuser keeps a server from losing everybody who may administer it.
var errLastSuperuser = fault.New(fault.Conflict,
	"This is the last active administrator of this server. Make another account an administrator first.")

// UpdateUser changes the names of an account, switches it on or off, or makes it
// an administrator or takes that away. For administrators.
//
// Who becomes an administrator has to sign in again: a session that was stolen before
// must not become one too. Switching an account off ends its sessions at once, and its personal tokens
// are refused from then on, until it is switched on again; the link to choose a
// password and the invitations that it has made are worthless for good. Service
// tokens stay: they belong to projects. The last active administrator and the
// last active owner of a project are not switched off: fault.Conflict.
func (v *Vault) UpdateUser(ctx context.Context, p Principal, id string, in api.UpdateUser) (answer api.User, err error) {
	if err := checkPersonNames(in.FirstName, in.LastName); err != nil {
		return answer, err
	}
	err = v.onUser(ctx, p, ActionUpdateUser, id, func(ctx context.Context, tx store.Tx, user *store.User) error {
		if err := v.changeUser(ctx, tx, p, ActionUpdateUser, user, in); err != nil {
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

// checkPersonNames checks the names of a person that are given, and gives them
// their form; they may be empty.
func checkPersonNames(first, last *string) error {
	cleanNames(first, last)
	for _, f := range []struct {
		location string
		text     *string
	}{{"body.first_name", first}, {"body.last_name", last}} {
		if f.text == nil || *f.text == "" {
			continue
		}
		if problem := api.CheckName(*f.text); problem != "" {
			return fault.InvalidField(f.location, problem)
		}
	}
	return nil
}

// changeUser changes an account whose row is locked, within administer, and
// records it.
func (v *Vault) changeUser(ctx context.Context, tx store.Tx, p Principal, a Action, user *store.User, in api.UpdateUser) error {
	former := *user
	assign(&user.FirstName, in.FirstName)
	assign(&user.LastName, in.LastName)
	assign(&user.IsActive, in.IsActive)
	assign(&user.IsSuperuser, in.IsSuperuser)
	if err := keepASuperuser(ctx, tx, former, *user); err != nil {
		return err
	}
	user.UpdatedAt = v.micros()
	if err := tx.UpdateUser(ctx, user, "first_name", "last_name", "is_active", "is_superuser", "updated_at"); err != nil {
		return err
	}
	detail := changed("first_name", former.FirstName, user.FirstName, "last_name", former.LastName, user.LastName,
		"is_active", strconv.FormatBool(former.IsActive), strconv.FormatBool(user.IsActive),
		"is_superuser", strconv.FormatBool(former.IsSuperuser), strconv.FormatBool(user.IsSuperuser))
	if !former.IsSuperuser && user.IsSuperuser && user.IsActive {
		n, err := tx.DeleteSessionsOfUser(ctx, user.ID)
		if err != nil {
			return err
		}
		detail = with(detail, "sessions_ended", strconv.FormatInt(n, 10))
	}
	if former.IsActive && !user.IsActive {
		ended, err := v.switchOff(ctx, tx, p, user)
		if err != nil {
			return err
		}
		maps.Copy(detail, ended)
	}
	return v.record(ctx, tx, p, event{action: a, target: user.Email, detail: detail})
}

// keepASuperuser refuses a change by which the last active administrator would
// not be one any more. The count holds because of LockAdministration.
func keepASuperuser(ctx context.Context, tx store.Tx, former, now store.User) error {
	if !former.IsActive || !former.IsSuperuser || now.IsActive && now.IsSuperuser {
		return nil
	}
	n, err := tx.CountOtherSuperusers(ctx, now.ID)
	if err == nil && n == 0 {
		err = errLastSuperuser
	}
	return err
}

// switchOff takes from an account that was just made inactive what must not
// outlive that, and says for the audit trail what it was.
func (v *Vault) switchOff(ctx context.Context, tx store.Tx, p Principal, user *store.User) (map[string]string, error) {
	if err := v.keepOwnersWithout(ctx, tx, user.ID); err != nil {
		return nil, err
	}
	sessions, err := tx.DeleteSessionsOfUser(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	if err := tx.DeletePasswordReset(ctx, user.ID); err != nil {
		return nil, err
	}
	if err := v.revokeInvitationsBy(ctx, tx, p, "", user.ID, ""); err != nil {
		return nil, err
	}
	personal, err := tx.CountTokens(ctx, user.ID, "")
	if err != nil {
		return nil, err
	}
	service, err := tx.CountServiceTokensBy(ctx, user.ID)
	return map[string]string{
		"sessions_ended":          strconv.FormatInt(sessions, 10),
		"personal_tokens_refused": strconv.Itoa(personal),
		"service_tokens_kept":     strconv.Itoa(service),
	}, err
}
