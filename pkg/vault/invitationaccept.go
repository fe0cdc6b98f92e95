package vault

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Why an invitation is not accepted.
var (
	errNoInvitation   = fault.New(fault.NotFound, "There is no such invitation: the link is incomplete, or a newer one was sent. Use the newest mail, or ask for a new invitation.")
	errInvitationOver = fault.New(fault.Gone, "This invitation is not valid any more: it was used, revoked or sent again, or its time is over. Ask for a new one.")
	errOtherAccount   = fault.New(fault.Forbidden, "This invitation is for another address than that of your account. Sign out, and open the link again; or ask for an invitation to your address.")
	errSignInFirst    = fault.New(fault.Conflict, "There is an account with the invited address. Sign in with it, and open the link again.")
	errNotMailed      = fault.New(fault.Forbidden, "This link is for somebody who is signed in with the invited address. Sign in and open it again; or, to create the account, use the link in the mail that was sent to that address.")
	errInactive       = fault.New(fault.Forbidden, "The account with the invited address is switched off. An administrator of this server can switch it on.")
)

// OpenInvitation tells the holder of a link what it invites to. It changes
// nothing, however often it is called: programs that look at mail open links,
// too.
func (v *Vault) OpenInvitation(ctx context.Context, p Principal, token string) (api.OpenedInvitation, error) {
	var answer api.OpenedInvitation
	if _, err := admit(p, ActionReadInvitation); err != nil {
		return answer, err
	}
	view, err := v.invitationByToken(ctx, v.store.Queries, token)
	if err != nil {
		return answer, err
	}
	answer = api.OpenedInvitation{
		Role: api.Role(view.Role), Email: view.Email, ExpiresAt: view.ExpiresAt.Time(),
		State: invitationState(&view.Invitation, v.micros()),
	}
	if answer.State == api.InvitationPending && !stillMeant(view) {
		answer.State = api.InvitationRevoked
	}
	if answer.State == api.InvitationPending || answer.State == api.InvitationExpired {
		inviter := apiInviter(&view.Inviter)
		answer.Project, answer.InvitedBy = view.ProjectName, &inviter
	}
	if answer.State != api.InvitationPending {
		return answer, nil
	}
	if answer.NeedsMailedLink = !provesMailbox(view, digestOf(token)); answer.NeedsMailedLink {
		return answer, nil
	}
	_, err = v.store.UserByEmail(ctx, view.Email)
	if errors.Is(err, fault.NotFound) {
		return answer, nil
	}
	answer.AccountExists = err == nil
	return answer, err
}

// stillMeant reports whether who has invited may still invite to that role.
func stillMeant(view *store.InvitationView) bool {
	return view.Inviter.IsActive && mayInvite(api.Role(view.InviterRole), api.Role(view.Role)) == nil
}

// provesMailbox reports whether who has a link may learn whether there is an
// account of the invited address, and create it if not. The sender of the
// invitation sees a link, too: if that were enough, anybody could ask for the
// accounts there are, or make himself that of anybody's address, and wait until
// others trust it. Where mail reaches nobody there is no other way.
func provesMailbox(view *store.InvitationView, digest []byte) bool {
	return view.MailedDigest == nil || bytes.Equal(view.MailedDigest, digest)
}

// invitationByToken finds what a link opens. What can be no link's token is not
// looked for.
func (v *Vault) invitationByToken(ctx context.Context, q store.Queries, token string) (*store.InvitationView, error) {
	if len(token) != invitationTokenLength || strings.Trim(token, base62) != "" {
		return nil, errNoInvitation
	}
	view, err := q.InvitationByDigest(ctx, digestOf(token))
	if errors.Is(err, fault.NotFound) {
		err = errNoInvitation
	}
	return view, err
}

// AcceptInvitation makes the caller a member, if the invitation is for the
// address of the account that he is signed in to; or, of a caller who is nobody and
// has the link of the mail, creates exactly that account and signs it in: then the
// token of its session is returned, too. It works once. Tokens are refused: see the policy.
//
// Whether the invitation is still valid, and who has invited may still do so, is
// decided in the transaction that accepts it. A refusal is audited. Someone who
// has become a member meanwhile keeps his role, and the invitation ends
// (fault.Conflict).
func (v *Vault) AcceptInvitation(ctx context.Context, p Principal, token string, in api.AcceptInvitation) (api.AcceptedInvitation, api.Value, error) {
	var nothing api.AcceptedInvitation
	if _, err := admit(p, ActionAcceptInvitation); err != nil {
		return nothing, api.Value{}, err
	}
	if err := checkPersonNames(&in.FirstName, &in.LastName); err != nil {
		return nothing, api.Value{}, err
	}
	view, err := v.invitationByToken(ctx, v.store.Queries, token)
	if err != nil {
		return nothing, api.Value{}, err
	}
	if p.user != nil && (in.Password != nil || in.FirstName != "" || in.LastName != "") {
		return nothing, api.Value{}, fault.InvalidField("body", "must be empty ({}): you are signed in, and accept with your account")
	}
	a := &acceptance{vault: v, p: p, view: view, digest: digestOf(token)}
	if err = a.prepare(ctx, in); err == nil {
		err = a.run(ctx)
	}
	if k := fault.KindOf(err); err != nil && (k == fault.Forbidden || k == fault.Conflict || k == fault.Gone) {
		if recordErr := v.recordRead(ctx, p, a.refused(err)); recordErr != nil {
			return nothing, api.Value{}, recordErr
		}
		err = &refused{cause: err, recorded: true}
	}
	return a.answer, a.session, err
}

// acceptance is one try to accept an invitation.
type acceptance struct {
	vault   *Vault
	p       Principal
	view    *store.InvitationView // as it was found by the link
	digest  []byte
	created *store.User // the new account, if the caller is nobody

	answer  api.AcceptedInvitation
	session api.Value // of the new account
}

// prepare decides what can be decided outside of the transaction, and hashes the
// password of a new account: that takes too long to hold locks for.
func (a *acceptance) prepare(ctx context.Context, in api.AcceptInvitation) error {
	if invitationState(&a.view.Invitation, a.vault.micros()) != api.InvitationPending {
		return errInvitationOver
	}
	if a.p.user != nil {
		if a.p.user.Email != a.view.Email {
			return errOtherAccount
		}
		return nil
	}
	if !provesMailbox(a.view, a.digest) {
		return errNotMailed
	}
	if err := noAccount(ctx, a.vault.store.Queries, a.view.Email); err != nil {
		return err
	}
	if in.Password == nil {
		return fault.InvalidField("body.password", "is needed to create the account")
	}
	if problem := checkPassword(*in.Password, a.view.Email); problem != "" {
		return fault.InvalidField("body.password", problem)
	}
	hash, err := a.vault.hasher.hash(ctx, *in.Password)
	now := a.vault.micros()
	a.created = &store.User{
		ID: newID(), Email: a.view.Email, FirstName: in.FirstName, LastName: in.LastName, PasswordHash: hash,
		IsActive: true, CreatedAt: now, UpdatedAt: now,
	}
	return err
}

// noAccount makes sure that an invited address has no account yet.
func noAccount(ctx context.Context, q store.Queries, email string) error {
	user, err := q.UserByEmail(ctx, email)
	switch {
	case errors.Is(err, fault.NotFound):
		return nil
	case err != nil:
		return err
	case !user.IsActive:
		return errInactive
	}
	return errSignInFirst
}

// run accepts in one transaction. A refusal that ends the invitation is
// committed.
func (a *acceptance) run(ctx context.Context) error {
	var refusal error
	err := a.vault.write(ctx, a.p, func(ctx context.Context, tx store.Tx) (err error) {
		refusal, err = a.endIfVoid(ctx, tx)
		if err != nil || refusal != nil {
			return err
		}
		return a.accept(ctx, tx)
	})
	if err == nil {
		err = refusal
	}
	return err
}

// endIfVoid locks the project and looks whether the invitation has lost its
// meaning: who has invited may not do so any more, or who was invited is a member
// already. Then it ends, and refusal says why.
func (a *acceptance) endIfVoid(ctx context.Context, tx store.Tx) (refusal, err error) {
	if err := tx.LockProject(ctx, a.view.ProjectID); err != nil {
		return nil, err
	}
	view, err := tx.Invitation(ctx, a.view.ProjectID, a.view.ID)
	if err != nil {
		return nil, err
	}
	a.view = view
	if invitationState(&view.Invitation, a.vault.micros()) != api.InvitationPending {
		return errInvitationOver, nil
	}
	if refusal, err = void(ctx, tx, view); refusal == nil || err != nil {
		return nil, err
	}
	err = tx.RevokeInvitation(ctx, view.ID, a.vault.micros())
	if errors.Is(err, fault.NotFound) { // by who took the right from the inviter, while his account was waited for
		return refusal, nil
	}
	if err != nil {
		return nil, err
	}
	return refusal, a.vault.record(ctx, tx, Local(), invitationEvent(ActionRevokeInvitation, &view.Invitation))
}

// void says why a pending invitation has lost its meaning, if it has.
func void(ctx context.Context, tx store.Tx, view *store.InvitationView) (refusal, err error) {
	role, err := tx.ActiveRole(ctx, view.ProjectID, view.InvitedBy)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	if mayInvite(api.Role(role), api.Role(view.Role)) != nil {
		return errInvitationOver, nil
	}
	role, err = tx.RoleByEmail(ctx, view.ProjectID, view.Email)
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return fault.Newf(fault.Conflict, "You are a member of this project already, as %s. Ask an admin of the project if you need another role.", role), nil
}

// accept uses the invitation up and makes the member.
func (a *acceptance) accept(ctx context.Context, tx store.Tx) error {
	v, view, now := a.vault, a.view, a.vault.micros()
	err := tx.AcceptInvitation(ctx, view.ID, a.digest, now)
	if errors.Is(err, fault.NotFound) {
		return errInvitationOver
	}
	if err != nil {
		return err
	}
	user := a.p.user
	if user == nil {
		user = a.created
		if err := a.createAccount(ctx, tx); err != nil {
			return err
		}
	}
	err = tx.InsertMembership(ctx, &store.Membership{
		ProjectID: view.ProjectID, UserID: user.ID, Role: view.Role, EnvironmentLimits: view.EnvironmentLimits, CreatedAt: now,
	})
	if err != nil {
		return err
	}
	project, err := tx.ProjectFor(ctx, store.Caller{UserID: user.ID}, view.ProjectID)
	if err != nil {
		return err
	}
	a.answer = api.AcceptedInvitation{Project: apiProject(&project.Project, project.Role), Account: apiAccount(user)}
	return v.record(ctx, tx, a.actor(user), invitationEvent(ActionAcceptInvitation, &view.Invitation))
}

// actor is who accepts: for a new account, its person.
func (a *acceptance) actor(user *store.User) Principal {
	if a.p.user != nil {
		return a.p
	}
	return Principal{Request: a.p.Request, user: user}
}

func (a *acceptance) createAccount(ctx context.Context, tx store.Tx) (err error) {
	err = tx.InsertUser(ctx, a.created)
	if errors.Is(err, fault.Conflict) {
		return errSignInFirst
	}
	if err != nil {
		return err
	}
	a.session, err = a.vault.beginSession(ctx, tx, a.p, a.created, byInvitation)
	return err
}

// refused is the event of a refusal.
func (a *acceptance) refused(err error) event {
	e := invitationEvent(ActionAcceptInvitation, &a.view.Invitation)
	e.outcome = outcomeRefused
	e.detail = with(e.detail, "reason", fault.KindOf(err).Error())
	return e
}
