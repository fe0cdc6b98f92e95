package vault

import (
	"context"
	"errors"
	"slices"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// errOnboarded answers every attempt at a first run after the first.
var errOnboarded = fault.New(fault.NotFound, "Not found.")

// Onboarded reports whether the first run is finished. Once it is, it stays so,
// also when every administrator is gone.
func (v *Vault) Onboarded(ctx context.Context) (bool, error) {
	if v.onboarded.Load() {
		return true, nil
	}
	at, err := v.store.OnboardedAt(ctx)
	if err != nil || at == nil {
		return false, err
	}
	v.onboarded.Store(true)
	return true, nil
}

// Onboard finishes the first run: it creates the first administrator and closes
// the first run for ever. Of any number of attempts, on any number of servers,
// one succeeds; the others get fault.NotFound and leave nothing behind. Whether
// the caller may (the set-up token) is for the server to decide.
//
// persist is called when it is certain that this attempt wins, before anything
// is visible to others: it saves what must not be lost, such as a new key. If it
// fails, the first run stays open.
func (v *Vault) Onboard(ctx context.Context, p Principal, in api.NewAdmin, persist func() error) (api.Account, error) {
	return v.OnboardWithSettings(ctx, p, in, api.Value{}, persist)
}

// OnboardWithSettings is Onboard that saves settings for all servers as well, see
// SaveSettings; the empty value saves none.
func (v *Vault) OnboardWithSettings(ctx context.Context, p Principal, in api.NewAdmin, settings api.Value, persist func() error) (api.Account, error) {
	user, err := v.newUser(ctx, in)
	if err != nil {
		return api.Account{}, err
	}
	if v.currentRing() == nil {
		return api.Account{}, errNoKey
	}
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		err := tx.CloseOnboarding(ctx, user.CreatedAt)
		if errors.Is(err, fault.Conflict) {
			return errOnboarded
		}
		if err != nil {
			return err
		}
		if err := tx.LockEncryptionKeys(ctx); err != nil {
			return err
		}
		if err := v.enterKey(ctx, tx); err != nil {
			return err
		}
		if settings.Len() > 0 {
			if _, err := v.replaceSettings(ctx, tx, 0, settings); err != nil {
				return err
			}
		}
		if err := v.insertAdmin(ctx, tx, user); err != nil {
			return err
		}
		actor := p
		if !p.local {
			actor = Principal{Request: p.Request, user: user}
		}
		if err := v.record(ctx, tx, actor, event{action: ActionOnboard, target: user.Email}); err != nil {
			return err
		}
		return persist()
	})
	if err != nil {
		return api.Account{}, err
	}
	return apiAccount(user), nil
}

// CreateAdmin makes an administrator from the server itself, for the day when
// nobody can sign in. It needs the first run to be finished.
func (v *Vault) CreateAdmin(ctx context.Context, p Principal, in api.NewAdmin) (api.Account, error) {
	if _, err := admit(p, ActionCreateAdmin); err != nil {
		return api.Account{}, err
	}
	if err := v.needOnboarded(ctx); err != nil {
		return api.Account{}, err
	}
	user, err := v.newUser(ctx, in)
	if err != nil {
		return api.Account{}, err
	}
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := v.insertAdmin(ctx, tx, user); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionCreateAdmin, target: user.Email})
	})
	return apiAccount(user), err
}

// ResetPassword gives an account a new password from the server itself, makes
// it active again, and ends all its sessions. clearFactor takes its second factor
// away too, for a person who has lost it; an account without one is fine.
func (v *Vault) ResetPassword(ctx context.Context, p Principal, address string, password api.Value, clearFactor bool) error {
	if _, err := admit(p, ActionResetPassword); err != nil {
		return err
	}
	email, problem := canonicalEmail(address)
	if problem != "" {
		return fault.InvalidField("email", problem)
	}
	if problem := checkPassword(password, email); problem != "" {
		return fault.InvalidField("password", problem)
	}
	hash, err := v.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		user, err := tx.UserByEmail(ctx, email)
		if errors.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "There is no account with this address.")
		}
		if err != nil {
			return err
		}
		if err := v.replacePassword(ctx, tx, p.Request, user, hash); err != nil {
			return err
		}
		user.IsActive = true
		if err := tx.UpdateUser(ctx, user, "is_active"); err != nil {
			return err
		}
		e := event{action: ActionResetPassword, target: email}
		if clearFactor {
			cleared, err := v.clearFactor(ctx, tx, p.Request, user)
			if err != nil {
				return err
			}
			if cleared {
				e.detail = map[string]string{"second_factor": "cleared"}
			}
		}
		return v.record(ctx, tx, p, e)
	})
}

// SignInLocally makes a personal token for an account from the server itself:
// the one who has just finished the first run in a terminal can go on there.
func (v *Vault) SignInLocally(ctx context.Context, p Principal, account api.Account, name string) (api.Value, error) {
	if !p.local {
		return api.Value{}, errNotDocumented
	}
	token, err := v.createPersonalToken(ctx, p, account.ID, api.CreatePersonalToken{Name: name})
	if err != nil {
		return api.Value{}, err
	}
	return *token.Token, nil
}

func (v *Vault) needOnboarded(ctx context.Context) error {
	done, err := v.Onboarded(ctx)
	if err == nil && !done {
		err = fault.New(fault.Conflict, "The first run is not finished. Run `heartlock onboard`.")
	}
	return err
}

// newUser checks a new account and hashes its password.
func (v *Vault) newUser(ctx context.Context, in api.NewAdmin) (*store.User, error) {
	email, problem := canonicalEmail(in.Email)
	if problem != "" {
		return nil, fault.InvalidField("body.admin.email", problem)
	}
	if problem := checkPassword(in.Password, email); problem != "" {
		return nil, fault.InvalidField("body.admin.password", problem)
	}
	cleanNames(&in.FirstName, &in.LastName)
	for _, name := range []string{in.FirstName, in.LastName} {
		if problem := api.CheckName(name); name != "" && problem != "" {
			return nil, fault.InvalidField("body.admin", "a name "+problem)
		}
	}
	hash, err := v.hasher.hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	now := v.micros()
	return &store.User{
		ID: newID(), Email: email, FirstName: in.FirstName, LastName: in.LastName, PasswordHash: hash,
		IsActive: true, IsSuperuser: true, CreatedAt: now, UpdatedAt: now,
	}, nil
}

func (v *Vault) insertAdmin(ctx context.Context, tx store.Tx, user *store.User) error {
	err := tx.InsertUser(ctx, user)
	if errors.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Conflict, err, "There is an account with this address already.")
	}
	return err
}

// Policy lists every action by name, for documentation and for tests that walk
// the table.
func Policy() []Action {
	actions := make([]Action, 0, len(policy))
	for a := range policy {
		actions = append(actions, a)
	}
	slices.Sort(actions)
	return actions
}
