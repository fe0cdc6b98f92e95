package vault

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// SSOIdentity is who an identity provider says that someone is. Provider and
// Subject have been proved; the rest is what the provider says.
type SSOIdentity struct {
	Provider string
	// FormerProvider is what the same provider was called before, or "". An
	// identity that is stored under it is taken over.
	FormerProvider string
	Subject        string
	Email          string
	EmailVerified  bool // the provider vouches for it
	FirstName      string
	LastName       string
}

// ssoAttempts bounds how often a sign-in is decided anew because another one was
// faster: the first sign-ins of one person at the same time make one account.
const ssoAttempts = 3

// ssoRefusal is why somebody whom the provider knows is not signed in. The reason
// goes into the audit trail, the error to the person. The errors say nothing of an
// account to someone who has not shown that its address is his.
type ssoRefusal struct {
	reason string
	err    *fault.Error
}

// Error implements error.
func (r *ssoRefusal) Error() string { return r.err.Error() }

// Unwrap implements errors.Unwrap.
func (r *ssoRefusal) Unwrap() error { return r.err }

func refuseSSO(reason, message string) *ssoRefusal {
	return &ssoRefusal{reason: reason, err: fault.New(fault.Forbidden, message)}
}

var (
	errSSODeactivated = refuseSSO("deactivated", "Your account is deactivated. Ask an administrator of this server.")
	errSSOUnverified  = refuseSSO("email_not_verified",
		"The identity provider does not confirm that your e-mail address is yours, so it can not open an account. Confirm it there; or sign in with your password and connect the two in your account.")
	errSSONoAccount = refuseSSO("unknown",
		"There is no account for you on this server. Ask an administrator, or the owner of a project for an invitation.")
	errSSOProtected = refuseSSO("protected",
		"Your account is protected: it can not be opened through its e-mail address. Sign in with your password and connect it with the identity provider in your account.")
	errSSOTaken = refuseSSO("other_identity",
		"The account with your e-mail address is connected with somebody else at the identity provider. Sign in with your password, or ask an administrator.")
	errSSOOtherSession = refuseSSO("other_session", "You are not signed in any more to the account that was to be connected. Sign in and start again.")
)

// FinishSSO signs in the person behind an identity and returns the token of his
// session; or, if the attempt was to link, links the identity to the account that
// p is signed in to, and returns no token. createUnknown: who has no account gets
// one. It never makes anyone an administrator, never changes a role or a
// membership, and never activates an account.
//
// Whoever may not come in is fault.Forbidden, which is audited.
func (v *Vault) FinishSSO(ctx context.Context, p Principal, r SSOReturn, who SSOIdentity, createUnknown bool) (token api.Value, err error) {
	if _, err := admit(p, ActionLogin); err != nil {
		return token, err
	}
	if err := v.ssoReady(ctx); err != nil {
		return token, err
	}
	email, problem := canonicalEmail(who.Email)
	if problem != "" { // as good as none
		email, who.EmailVerified = "", false
	}
	who.Email = email
	for attempt := 1; ; attempt++ {
		if r.Linking() {
			err = v.linkIdentity(ctx, p, *r.linking, who)
		} else {
			token, err = v.signInBy(ctx, p, who, createUnknown)
		}
		if attempt == ssoAttempts || !outrun(err) {
			return token, v.noteRefusal(ctx, p, who, err)
		}
	}
}

// outrun reports whether another request was faster, so that deciding anew helps.
func outrun(err error) bool {
	return errors.Is(err, fault.Conflict) && !errors.Is(err, errIdentityTaken) && !errors.Is(err, errIdentityThere)
}

// signInBy decides whose session begins.
func (v *Vault) signInBy(ctx context.Context, p Principal, who SSOIdentity, createUnknown bool) (token api.Value, err error) {
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		user, err := v.userBehind(ctx, tx, p, who, createUnknown)
		if err != nil {
			return err
		}
		if !user.IsActive {
			return errSSODeactivated
		}
		token, err = v.beginSession(ctx, tx, p, user, byProvider)
		return err
	})
	return token, err
}

// userBehind is the user, active or not, with his row locked, who an identity stands for: the one
// that it is stored for, whatever its address is by now; else the one that it may
// be linked to by its address; else a new one.
func (v *Vault) userBehind(ctx context.Context, tx store.Tx, p Principal, who SSOIdentity, createUnknown bool) (*store.User, error) {
	identity, err := v.identityOf(ctx, tx, who)
	if err == nil {
		return v.useIdentity(ctx, tx, identity, who)
	}
	if !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	if !who.EmailVerified {
		return nil, errSSOUnverified
	}
	user, err := tx.UserByEmail(ctx, who.Email)
	switch {
	case errors.Is(err, fault.NotFound) && !createUnknown:
		return nil, errSSONoAccount
	case errors.Is(err, fault.NotFound):
		return v.createBy(ctx, tx, p, who)
	case err != nil:
		return nil, err
	}
	return v.linkByEmail(ctx, tx, p, user.ID, who)
}

// identityOf finds the stored identity, and takes one over that was stored before
// the provider had its present name.
func (v *Vault) identityOf(ctx context.Context, tx store.Tx, who SSOIdentity) (*store.Identity, error) {
	identity, err := tx.IdentityBySubject(ctx, who.Provider, who.Subject)
	if !errors.Is(err, fault.NotFound) || who.FormerProvider == "" || who.FormerProvider == who.Provider {
		return identity, err
	}
	identity, err = tx.IdentityBySubject(ctx, who.FormerProvider, who.Subject)
	if err != nil {
		return nil, err
	}
	err = tx.RenameProvider(ctx, identity, who.Provider)
	if errors.Is(err, fault.Conflict) { // he is somebody else under the present name
		return nil, errSSOTaken
	}
	return identity, err
}

// useIdentity locks the user and notes the use of an identity.
func (v *Vault) useIdentity(ctx context.Context, tx store.Tx, identity *store.Identity, who SSOIdentity) (*store.User, error) {
	user, err := tx.UserByID(ctx, identity.UserID)
	if err != nil {
		return nil, err
	}
	now := v.micros()
	identity.Email, identity.LastLoginAt = who.Email, &now
	return user, tx.UpdateIdentity(ctx, identity)
}

// linkByEmail gives an identity to the account with its address. Only an ordinary
// account, without a second factor, that no identity opens yet is given away on the
// word of a provider.
func (v *Vault) linkByEmail(ctx context.Context, tx store.Tx, p Principal, userID string, who SSOIdentity) (*store.User, error) {
	user, err := tx.UserByID(ctx, userID) // locks it
	if err != nil {
		return nil, err
	}
	others, err := tx.IdentitiesOfUser(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	for i := range others {
		if others[i].Provider == who.Provider && others[i].Subject == who.Subject { // linked since it was looked for
			return v.useIdentity(ctx, tx, &others[i], who)
		}
	}
	hasFactor, err := tx.HasSecondFactor(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	switch {
	case user.Email != who.Email: // changed between the two looks
		return nil, fault.New(fault.Conflict, "The account has changed meanwhile. Try again.")
	case user.IsSuperuser, hasFactor: // a mailbox must not be enough for these
		return nil, errSSOProtected
	case len(others) > 0:
		return nil, errSSOTaken
	}
	actor := Principal{Request: p.Request, user: user}
	return user, v.addIdentity(ctx, tx, actor, user, who, linkedByAddress)
}

// createBy makes an account for someone unknown: without a password, no
// administrator, member of nothing.
func (v *Vault) createBy(ctx context.Context, tx store.Tx, p Principal, who SSOIdentity) (*store.User, error) {
	now := v.micros()
	user := &store.User{
		ID: newID(), Email: who.Email, FirstName: usableName(who.FirstName), LastName: usableName(who.LastName),
		IsActive: true, CreatedAt: now, UpdatedAt: now,
	}
	if err := tx.InsertUser(ctx, user); err != nil {
		return nil, err
	}
	actor := Principal{Request: p.Request, user: user}
	err := v.record(ctx, tx, actor, event{action: ActionCreateUser, target: user.Email, detail: map[string]string{"by": string(byProvider)}})
	if err != nil {
		return nil, err
	}
	return user, v.addIdentity(ctx, tx, actor, user, who, linkedByCreation)
}

// addIdentity stores an identity; by says on what ground. The person of an account
// that was there before is told. The user's row is locked.
func (v *Vault) addIdentity(ctx context.Context, tx store.Tx, actor Principal, user *store.User, who SSOIdentity, by string) error {
	now := v.micros()
	identity := &store.Identity{
		Provider: who.Provider, Subject: who.Subject, UserID: user.ID, Email: who.Email, CreatedAt: now,
	}
	if by != linkedByPerson {
		identity.LastLoginAt = &now
	}
	if err := tx.InsertIdentity(ctx, identity); err != nil {
		return err
	}
	if by != linkedByCreation {
		if err := v.tellOfIdentity(ctx, tx, actor.Request, user, identity, true); err != nil {
			return err
		}
	}
	return v.record(ctx, tx, actor, event{
		action: ActionLinkIdentity, target: user.Email, detail: map[string]string{"provider": who.Provider, "by": by},
	})
}

// usableName is a name as the provider tells it, if it is one that an account can
// have.
func usableName(name string) string {
	cleanNames(&name)
	if api.CheckName(name) != "" {
		return ""
	}
	return name
}

// noteRefusal audits why somebody was not let in.
func (v *Vault) noteRefusal(ctx context.Context, p Principal, who SSOIdentity, err error) error {
	var refused *ssoRefusal
	if !errors.As(err, &refused) {
		return err
	}
	target := who.Email
	if target == "" {
		target = "(no address)"
	}
	e := event{
		action: ActionLogin, outcome: outcomeRefused, target: target,
		detail: map[string]string{"by": string(byProvider), "reason": refused.reason, "provider": who.Provider},
	}
	if err := v.recordRead(ctx, Principal{Request: p.Request}, e); err != nil {
		return err
	}
	return refused.err
}
