package store

import "context"

// An identity is looked up by (provider, subject) alone: what a provider says of
// someone's address is no key to anything here.

// IdentityBySubject finds who a provider's subject is.
func (q Queries) IdentityBySubject(ctx context.Context, provider, subject string) (*Identity, error) {
	identity := new(Identity)
	err := q.db.NewSelect().Model(identity).Where("iy.provider = ?", provider).Where("iy.subject = ?", subject).Scan(ctx)
	return identity, wrap(err)
}

// IdentitiesOfUser lists the identities of a user, oldest first. In a transaction
// that has locked the user's row none can be added meanwhile.
func (q Queries) IdentitiesOfUser(ctx context.Context, userID string) ([]Identity, error) {
	var rows []Identity
	err := q.db.NewSelect().Model(&rows).Where("iy.user_id = ?", userID).OrderExpr("iy.created_at, iy.provider").Limit(1000).Scan(ctx)
	return rows, wrap(err)
}

// InsertIdentity adds an identity; one that is there, or that its user has at the
// same provider already, is fault.Conflict. The user's row has to be locked.
func (tx Tx) InsertIdentity(ctx context.Context, identity *Identity) error {
	_, err := tx.db.NewInsert().Model(identity).Exec(ctx)
	return wrap(err)
}

// UpdateIdentity writes what a sign-in changes of an identity: the address and the
// time.
func (tx Tx) UpdateIdentity(ctx context.Context, identity *Identity) error {
	return affected(tx.db.NewUpdate().Model(identity).Column("email", "last_login_at").WherePK().Exec(ctx))
}

// RenameProvider makes an identity one of another name of the same provider; if
// its user has one under that name already, it is fault.Conflict.
func (tx Tx) RenameProvider(ctx context.Context, identity *Identity, provider string) error {
	err := affected(tx.db.NewUpdate().Model((*Identity)(nil)).Set("provider = ?", provider).
		Where("provider = ?", identity.Provider).Where("subject = ?", identity.Subject).Exec(ctx))
	if err == nil {
		identity.Provider = provider
	}
	return err
}

// DeleteIdentity removes an identity of a user.
func (tx Tx) DeleteIdentity(ctx context.Context, userID, provider, subject string) error {
	return affected(tx.db.NewDelete().Model((*Identity)(nil)).Where("user_id = ?", userID).
		Where("provider = ?", provider).Where("subject = ?", subject).Exec(ctx))
}

var insertSignInAttempts = newInsertion("sign_in_attempts", "state_digest", "browser_digest", "user_id", "next", "created_at")

// InsertSignInAttempt adds a browser that goes to the identity provider.
func (tx Tx) InsertSignInAttempt(ctx context.Context, a *SignInAttempt) error {
	return tx.insertRows(ctx, insertSignInAttempts, []any{a.StateDigest, a.BrowserDigest, a.UserID, a.Next, a.CreatedAt})
}

// HasSignInAttempt reports whether there is an attempt with this state.
func (q Queries) HasSignInAttempt(ctx context.Context, stateDigest []byte) (has bool, err error) {
	err = q.hotRow(ctx, []any{&has}, `SELECT EXISTS (SELECT 1 FROM sign_in_attempts WHERE state_digest = ?)`, stateDigest)
	return has, err
}

const takeSignInAttempt = `
DELETE FROM sign_in_attempts WHERE state_digest = ?
RETURNING state_digest, browser_digest, user_id, next, created_at`

// TakeSignInAttempt removes the attempt with this state and gives it to the one
// caller who asked first; to everyone else it is fault.NotFound.
func (tx Tx) TakeSignInAttempt(ctx context.Context, stateDigest []byte) (*SignInAttempt, error) {
	a := new(SignInAttempt)
	err := tx.hotRow(ctx, []any{&a.StateDigest, &a.BrowserDigest, &a.UserID, &a.Next, &a.CreatedAt}, takeSignInAttempt, stateDigest)
	return a, err
}

// DeleteSignInAttempts removes the attempts that began at this moment or before.
func (tx Tx) DeleteSignInAttempts(ctx context.Context, until Micros) error {
	_, err := tx.hotExec(ctx, `DELETE FROM sign_in_attempts WHERE created_at <= ?`, until)
	return err
}
