package vault

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// errBadLogin is the one answer to every failed sign-in: it tells neither
// whether the account exists nor whether it is active.
var errBadLogin = fault.New(fault.Unauthenticated, "Invalid email or password.")

// Login signs a person in. Whatever is wrong, the error and the time it takes
// are the same; the attempt is audited. Only who knows the password is told that
// the account has a second factor, and that its code is missing or wrong. After too
// many that were wrong, for the address or from the network, it is
// fault.TooManyRequests for a while; a browser that the account was signed in to
// from before has a count of its own. The session token is new, and the session
// that p may have come with is ended, so that nobody can be made to use a session
// that another knows.
func (v *Vault) Login(ctx context.Context, p Principal, in api.LoginRequest) (api.Account, api.Value, error) {
	email, _ := typedEmail(in.Email)
	subjects, err := v.loginSubjects(ctx, p.Request, email)
	if err != nil {
		return api.Account{}, api.Value{}, err
	}
	t, err := v.beginTrial(ctx, Principal{Request: p.Request}, ActionLogin, subjects...)
	if err != nil {
		return api.Account{}, api.Value{}, err
	}
	user, token, err := v.signIn(ctx, p, email, in)
	refused := errors.Is(err, fault.Unauthenticated)
	wrong := refused && !errors.Is(err, errCodeMissing)
	if errors.Is(err, errCodeWrong) {
		t.blocked = func(ctx context.Context, tx store.Tx) error { return v.tellOfGuessedCodes(ctx, tx, p.Request, email) }
	}
	if refused {
		err = v.refuseLogin(ctx, p, email, err)
	}
	if err := t.finish(ctx, err, wrong); err != nil {
		return api.Account{}, api.Value{}, err
	}
	return apiAccount(user), token, nil
}

// signIn checks who signs in and begins the session. email is canonical, or
// empty if what was sent can be nobody's address.
func (v *Vault) signIn(ctx context.Context, p Principal, email string, in api.LoginRequest) (*store.User, api.Value, error) {
	user, err := v.checkLogin(ctx, email, in.Password)
	if err != nil {
		return nil, api.Value{}, err
	}
	verified := user.PasswordHash
	renewed, err := v.renewedHash(ctx, verified, in.Password)
	if err != nil {
		return nil, api.Value{}, err
	}
	var token api.Value
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		if user, err = stillHas(ctx, tx, user.ID, verified, errBadLogin); err != nil {
			return err
		}
		if err := v.askForFactor(ctx, tx, p.Request, user, in.Code); err != nil {
			return err
		}
		if renewed != verified {
			if err := tx.SetPasswordHash(ctx, user.ID, renewed); err != nil {
				return err
			}
		}
		token, err = v.beginSession(ctx, tx, p, user, byPassword)
		return err
	})
	return user, token, err
}

// renewedHash is the stored form of a password that was just verified, made anew
// if it was made at another cost than ours.
func (v *Vault) renewedHash(ctx context.Context, verified string, password api.Value) (string, error) {
	if !outdated(verified) {
		return verified, nil
	}
	return v.hasher.hash(ctx, password)
}

// stillHas makes sure, in the transaction that acts on it, that an active
// account still has the password that was verified: one that was just changed
// must not open a session that outlives the change. Otherwise it is refusal.
func stillHas(ctx context.Context, tx store.Tx, userID, verified string, refusal error) (*store.User, error) {
	user, err := tx.UserByID(ctx, userID)
	if errors.Is(err, fault.NotFound) {
		return nil, refusal
	}
	if err == nil && (!user.IsActive || user.PasswordHash != verified) {
		return nil, refusal
	}
	return user, err
}

// checkLogin finds the active account that a password opens. A password is
// compared in any case, so that the time does not tell whether there is one.
func (v *Vault) checkLogin(ctx context.Context, email string, password api.Value) (*store.User, error) {
	user, err := v.store.UserByEmail(ctx, email)
	if errors.Is(err, fault.NotFound) {
		user, err = new(store.User), nil
	}
	if err != nil {
		return nil, err
	}
	ok, err := v.hasher.verify(ctx, user.PasswordHash, password)
	if err != nil {
		return nil, err
	}
	if !ok || !user.IsActive {
		return nil, errBadLogin
	}
	return user, nil
}

// notAnAddress stands in the audit trail for what may have been anything.
const notAnAddress = "(not an address)"

// refuseLogin audits a failed attempt under the address that was tried, if it
// has the form of one: people type passwords into the wrong field.
func (v *Vault) refuseLogin(ctx context.Context, p Principal, email string, refusal error) error {
	if email == "" {
		email = notAnAddress
	}
	anonymous := Principal{Request: p.Request}
	e := event{action: ActionLogin, outcome: outcomeRefused, target: email}
	if f := fault.As(refusal); f.SecondFactor { // whoever it is knows the password
		e.detail = map[string]string{"reason": "second_factor"}
	}
	if err := v.recordRead(ctx, anonymous, e); err != nil {
		return err
	}
	return refusal
}

func (v *Vault) newSession(p Principal, userID string, token api.Value, now store.Micros) *store.Session {
	return &store.Session{
		ID: newID(), Digest: sessionDigest(v.sessionKeys[0], token.Reveal()), UserID: userID,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: now + store.Micros(sessionLife.Microseconds()),
		IP: addressText(p.Request.IP), UserAgent: clip(p.Request.UserAgent),
	}
}

func (v *Vault) endFormerSession(ctx context.Context, tx store.Tx, p Principal) error {
	if p.session == nil {
		return nil
	}
	err := tx.DeleteSession(ctx, p.session.UserID, p.session.ID)
	if errors.Is(err, fault.NotFound) { // ended by another request meanwhile
		return nil
	}
	return err
}

// Logout ends the session that p came with; its token is worthless from now on.
func (v *Vault) Logout(ctx context.Context, p Principal) error {
	if _, err := admit(p, ActionLogout); err != nil {
		return err
	}
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		if err := v.endFormerSession(ctx, tx, p); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionLogout, target: p.user.Email})
	})
}

// WhoAmI tells the caller who he is.
func (v *Vault) WhoAmI(ctx context.Context, p Principal) (api.Me, error) {
	me := api.Me{SSOEnabled: v.ssoEnabled()}
	if _, err := admit(p, ActionWhoAmI); err != nil {
		return me, err
	}
	if !p.IsService() {
		account := apiAccount(p.user)
		has, err := v.store.HasSecondFactor(ctx, p.user.ID)
		me.Account, me.SecondFactor, me.SecondFactorDue = &account, &has, p.lacksFactor
		return me, err
	}
	project, err := v.store.ProjectFor(ctx, p.caller(), p.token.projectID)
	if err != nil {
		return me, err
	}
	environments, err := v.store.EnvironmentsOf(ctx, p.caller(), p.token.projectID)
	if err != nil {
		return me, err
	}
	me.ServiceToken = &api.ServiceTokenSelf{
		ID: p.token.id, Name: p.token.name, Project: project.Slug, Access: p.token.access,
		ExpiresAt: timeOf(p.token.expiresAt), Environments: []string{},
	}
	for _, e := range environments {
		me.ServiceToken.Environments = append(me.ServiceToken.Environments, e.Slug)
	}
	return me, nil
}

// UpdateProfile changes the caller's own names.
func (v *Vault) UpdateProfile(ctx context.Context, p Principal, in api.UpdateMe) (api.Me, error) {
	me := api.Me{SSOEnabled: v.ssoEnabled()}
	if _, err := admit(p, ActionUpdateProfile); err != nil {
		return me, err
	}
	if err := checkPersonNames(in.FirstName, in.LastName); err != nil {
		return me, err
	}
	var account api.Account
	err := v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		user, err := tx.UserByID(ctx, p.user.ID)
		if err != nil {
			return err
		}
		assign(&user.FirstName, in.FirstName)
		assign(&user.LastName, in.LastName)
		user.UpdatedAt = v.micros()
		account = apiAccount(user)
		if err := tx.UpdateUser(ctx, user, "first_name", "last_name", "updated_at"); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionUpdateProfile, target: user.Email})
	})
	me.Account = &account
	return me, err
}

// assign sets what is given.
func assign[T any](dst *T, src *T) {
	if src != nil {
		*dst = *src
	}
}

// ChangePassword replaces the caller's password. Every session of his ends, the
// one he came with too; the token of a new one is returned in its place. A link
// to choose a new password that was sent before is worthless. Personal tokens
// stay, unless he wants all of them revoked. He gets a mail.
func (v *Vault) ChangePassword(ctx context.Context, p Principal, in api.ChangePassword) (api.Value, error) {
	if _, err := admit(p, ActionChangePassword); err != nil {
		return api.Value{}, err
	}
	if problem := checkPassword(in.NewPassword, p.user.Email); problem != "" {
		return api.Value{}, fault.InvalidField("body.new_password", problem)
	}
	if err := v.provePassword(ctx, p, ActionChangePassword, "body.current_password", in.CurrentPassword); err != nil {
		return api.Value{}, err
	}
	hash, err := v.hasher.hash(ctx, in.NewPassword)
	if err != nil {
		return api.Value{}, err
	}
	token := api.NewValue(randomBase62(sessionTokenLength))
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		user, err := stillHas(ctx, tx, p.user.ID, p.user.PasswordHash, errBadSession)
		if err != nil {
			return err
		}
		if err := v.replacePassword(ctx, tx, p.Request, user, hash); err != nil {
			return err
		}
		if in.RevokeTokens {
			if err := v.revokeAllOwn(ctx, tx, p, user.ID); err != nil {
				return err
			}
		}
		if err := tx.InsertSession(ctx, v.newSession(p, user.ID, token, v.micros())); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionChangePassword, target: user.Email})
	})
	return token, err
}

// provePassword makes sure that who is signed in knows the password too: a
// session that was left open or stolen is not enough for everything. A wrong one
// is recorded, and counted.
func (v *Vault) provePassword(ctx context.Context, p Principal, a Action, location string, password api.Value) error {
	t, err := v.beginTrial(ctx, p, a, sessionSubject(p.user.ID))
	if err != nil {
		return err
	}
	ok, err := v.hasher.verify(ctx, p.user.PasswordHash, password)
	wrong := err == nil && !ok
	if wrong {
		err = fault.InvalidField(location, "is not your password")
		if failure := v.recordRead(ctx, p, event{action: a, outcome: outcomeRefused, target: p.user.Email}); failure != nil {
			err = failure
		}
	}
	return t.finish(ctx, err, wrong)
}

// replacePassword stores a new password hash. All sessions of the user end, a
// link to choose another password is worthless, and he gets a mail.
func (v *Vault) replacePassword(ctx context.Context, tx store.Tx, r Request, user *store.User, hash string) error {
	if err := tx.SetPasswordHash(ctx, user.ID, hash); err != nil {
		return err
	}
	if _, err := tx.DeleteSessionsOfUser(ctx, user.ID); err != nil {
		return err
	}
	if err := tx.DeletePasswordReset(ctx, user.ID); err != nil {
		return err
	}
	// Guesses at the former password, by whomever, count no more.
	if err := tx.ClearThrottle(ctx, accountSubject(user.Email).name); err != nil {
		return err
	}
	return v.notify(ctx, tx, user.Email, mail.PasswordChanged{At: v.now().UTC(), IP: addressText(r.IP)})
}

// Sessions lists where the caller is signed in.
func (v *Vault) Sessions(ctx context.Context, p Principal) (api.Page[api.Session], error) {
	page := api.Page[api.Session]{Results: []api.Session{}}
	if _, err := admit(p, ActionListSessions); err != nil {
		return page, err
	}
	rows, err := v.store.SessionsOfUser(ctx, p.user.ID, v.micros())
	for _, s := range rows {
		if v.now().Sub(s.LastSeenAt.Time()) >= sessionIdle {
			continue
		}
		page.Results = append(page.Results, api.Session{
			ID: s.ID, CreatedAt: s.CreatedAt.Time(), LastSeenAt: s.LastSeenAt.Time(), ExpiresAt: s.ExpiresAt.Time(),
			IP: s.IP, UserAgent: s.UserAgent, Current: s.ID == p.SessionID(),
		})
	}
	return page, err
}

// EndSession ends one of the caller's sessions.
func (v *Vault) EndSession(ctx context.Context, p Principal, id string) error {
	if _, err := admit(p, ActionEndSession); err != nil {
		return err
	}
	if !store.IsID(id) {
		return errNotFound
	}
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		if err := tx.DeleteSession(ctx, p.user.ID, id); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionEndSession, target: id})
	})
}

func apiAccount(u *store.User) api.Account {
	return api.Account{
		ID: u.ID, Email: u.Email, FirstName: u.FirstName, LastName: u.LastName,
		IsSuperuser: u.IsSuperuser, HasPassword: u.PasswordHash != "",
	}
}
