package store

import (
	"context"
)

// UserByEmail finds a user by canonical address.
func (q Queries) UserByEmail(ctx context.Context, email string) (*User, error) {
	user := new(User)
	err := q.db.NewSelect().Model(user).Where("u.email = ?", email).Scan(ctx)
	return user, wrap(err)
}

// UserByID finds a user. In a transaction the row is locked, so that what is
// decided on it holds.
func (q Queries) UserByID(ctx context.Context, id string) (*User, error) {
	user := new(User)
	err := q.locked(q.db.NewSelect().Model(user).Where("u.id = ?", id), "u").Scan(ctx)
	return user, wrap(err)
}

// Rows that hold digests, hashes or sealed text are written by statements with
// parameters: bun spells values into the text, and PostgreSQL writes the texts
// of failed and of slow statements to its log.
var (
	insertUsers = newInsertion("users", "id", "email", "first_name", "last_name", "password_hash", "is_active",
		"is_superuser", "created_at", "updated_at", "last_login_at")
	insertSessions = newInsertion("sessions", "id", "digest", "user_id", "created_at", "last_seen_at", "expires_at", "ip", "user_agent", "by_provider")
)

const setPasswordHash = `UPDATE users SET password_hash = ? WHERE id = ?`

// InsertUser adds a user; an address that is taken is fault.Conflict.
func (tx Tx) InsertUser(ctx context.Context, u *User) error {
	return tx.insertRows(ctx, insertUsers, []any{
		u.ID, u.Email, u.FirstName, u.LastName, u.PasswordHash, u.IsActive, u.IsSuperuser, u.CreatedAt, u.UpdatedAt, u.LastLoginAt,
	})
}

// SetPasswordHash writes a user's password hash.
func (tx Tx) SetPasswordHash(ctx context.Context, userID, hash string) error {
	return affected(tx.hotExec(ctx, setPasswordHash, hash, userID))
}

// UpdateUser writes the named columns of a user; not the password hash, which is
// for SetPasswordHash.
func (tx Tx) UpdateUser(ctx context.Context, user *User, columns ...string) error {
	return affected(tx.db.NewUpdate().Model(user).Column(columns...).WherePK().Exec(ctx))
}

// SignedIn is a session together with its user.
type SignedIn struct {
	Session Session
	User    User
}

const sessionByDigest = `
SELECT s.id, s.user_id, s.created_at, s.last_seen_at, s.expires_at, s.by_provider,
       u.email, u.first_name, u.last_name, u.password_hash, u.is_active, u.is_superuser
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.digest = ?`

// SessionByDigest finds the session whose token has this digest. Expiry and
// whether the user is active are the caller's to judge.
func (q Queries) SessionByDigest(ctx context.Context, digest []byte) (*SignedIn, error) {
	in := new(SignedIn)
	s, u := &in.Session, &in.User
	err := q.hotRow(ctx, []any{
		&s.ID, &s.UserID, &s.CreatedAt, &s.LastSeenAt, &s.ExpiresAt, &s.ByProvider,
		&u.Email, &u.FirstName, &u.LastName, &u.PasswordHash, &u.IsActive, &u.IsSuperuser,
	}, sessionByDigest, digest)
	u.ID = s.UserID
	return in, err
}

// SessionsOfUser lists a user's sessions that have not expired, newest first.
func (q Queries) SessionsOfUser(ctx context.Context, userID string, now Micros) ([]Session, error) {
	var rows []Session
	err := q.db.NewSelect().Model(&rows).
		Where("s.user_id = ?", userID).Where("s.expires_at > ?", now).
		OrderExpr("s.last_seen_at DESC").Limit(1000).Scan(ctx)
	return rows, wrap(err)
}

// InsertSession adds a session.
func (tx Tx) InsertSession(ctx context.Context, s *Session) error {
	return tx.insertRows(ctx, insertSessions, []any{
		s.ID, s.Digest, s.UserID, s.CreatedAt, s.LastSeenAt, s.ExpiresAt, s.IP, s.UserAgent, s.ByProvider,
	})
}

// HoldSession makes sure, in the transaction of a change, that a session has not
// ended and its user is active, and keeps both so until the transaction ends;
// otherwise it is fault.NotFound.
func (tx Tx) HoldSession(ctx context.Context, id string, now Micros) error {
	return tx.hold(ctx, `SELECT 1 FROM sessions c JOIN users u ON u.id = c.user_id
WHERE c.id = ? AND c.expires_at > ? AND u.is_active`, id, now)
}

// DeleteSession ends one session of a user.
func (tx Tx) DeleteSession(ctx context.Context, userID, id string) error {
	return affected(tx.db.NewDelete().Model((*Session)(nil)).
		Where("user_id = ?", userID).Where("id = ?", id).Exec(ctx))
}

// DeleteSessionsOfUser ends all sessions of a user and says how many there were.
func (tx Tx) DeleteSessionsOfUser(ctx context.Context, userID string) (int64, error) {
	result, err := tx.db.NewDelete().Model((*Session)(nil)).Where("user_id = ?", userID).Exec(ctx)
	if err != nil {
		return 0, wrap(err)
	}
	n, err := result.RowsAffected()
	return n, wrap(err)
}

// KeepNewestSessions ends the sessions of a user but for so many that began last.
func (tx Tx) KeepNewestSessions(ctx context.Context, userID string, keep int) error {
	_, err := tx.hotExec(ctx, `DELETE FROM sessions WHERE user_id = ? AND id NOT IN (
SELECT id FROM sessions WHERE user_id = ? ORDER BY created_at DESC, id DESC LIMIT ?)`, userID, userID, keep)
	return err
}

// DeleteOtherSessions ends the sessions of a user but for one.
func (tx Tx) DeleteOtherSessions(ctx context.Context, userID, but string) error {
	_, err := tx.db.NewDelete().Model((*Session)(nil)).Where("user_id = ?", userID).Where("id <> ?", but).Exec(ctx)
	return wrap(err)
}

// DeleteProviderSessions ends the sessions of a user that began at the identity
// provider, but for one.
func (tx Tx) DeleteProviderSessions(ctx context.Context, userID, but string) error {
	_, err := tx.db.NewDelete().Model((*Session)(nil)).Where("user_id = ?", userID).Where("by_provider").Where("id <> ?", but).Exec(ctx)
	return wrap(err)
}

// DeleteExpiredSessions removes sessions that ended before now, or that nobody
// has used since idleSince.
func (tx Tx) DeleteExpiredSessions(ctx context.Context, now, idleSince Micros) error {
	_, err := tx.db.NewDelete().Model((*Session)(nil)).
		Where("expires_at <= ?", now).Exec(ctx)
	if err != nil {
		return wrap(err)
	}
	_, err = tx.db.NewDelete().Model((*Session)(nil)).Where("last_seen_at <= ?", idleSince).Exec(ctx)
	return wrap(err)
}
