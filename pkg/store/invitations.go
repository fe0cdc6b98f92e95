package store

import (
	"context"
	"database/sql"
)

// InvitationView is an invitation, its project and who has invited.
type InvitationView struct {
	Invitation
	ProjectSlug string
	ProjectName string
	Inviter     User   // id, address, names and whether the account is active
	InviterRole string // in the project; empty if he is no member any more
}

const invitationViews = `
SELECT iv.id, iv.project_id, iv.email, iv.role, iv.environment_limits, iv.mailed_digest, iv.invited_by, iv.created_at, iv.sent_at,
       iv.expires_at, iv.accepted_at, iv.revoked_at, p.slug, p.name,
       u.email, u.first_name, u.last_name, u.is_active, COALESCE(m.role, '')
FROM invitations iv JOIN projects p ON p.id = iv.project_id JOIN users u ON u.id = iv.invited_by
LEFT JOIN memberships m ON m.project_id = iv.project_id AND m.user_id = iv.invited_by `

func (v *InvitationView) targets() []any {
	return []any{
		&v.ID, &v.ProjectID, &v.Email, &v.Role, &v.EnvironmentLimits, &v.MailedDigest, &v.InvitedBy, &v.CreatedAt, &v.SentAt,
		&v.ExpiresAt, &v.AcceptedAt, &v.RevokedAt, &v.ProjectSlug, &v.ProjectName,
		&v.Inviter.Email, &v.Inviter.FirstName, &v.Inviter.LastName, &v.Inviter.IsActive, &v.InviterRole,
	}
}

// InvitationByDigest finds the invitation of which one of the newest links has this
// token, whatever has become of it. Nothing is locked.
func (q Queries) InvitationByDigest(ctx context.Context, digest []byte) (*InvitationView, error) {
	v := new(InvitationView)
	err := q.hotRow(ctx, v.targets(), invitationViews+"WHERE (iv.digest = ? OR iv.mailed_digest = ?)", digest, digest)
	v.Inviter.ID = v.InvitedBy
	return v, err
}

// Invitation finds an invitation of a project, whatever has become of it. In a
// transaction, lock the project before.
func (q Queries) Invitation(ctx context.Context, projectID, id string) (*InvitationView, error) {
	v := new(InvitationView)
	err := q.hotRow(ctx, v.targets(), invitationViews+"WHERE iv.project_id = ? AND iv.id = ?", projectID, id)
	v.Inviter.ID = v.InvitedBy
	return v, err
}

// OpenInvitations lists the invitations of a project that were neither accepted
// nor revoked, oldest first; also those whose time is over.
func (q Queries) OpenInvitations(ctx context.Context, projectID string) ([]InvitationView, error) {
	rows, err := q.hot(ctx, invitationViews+"WHERE iv.project_id = ? AND iv.accepted_at IS NULL AND iv.revoked_at IS NULL ORDER BY iv.created_at, iv.id", projectID)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var views []InvitationView
	for rows.Next() {
		var v InvitationView
		if err := rows.Scan(v.targets()...); err != nil {
			return nil, wrap(err)
		}
		v.Inviter.ID = v.InvitedBy
		views = append(views, v)
	}
	return views, wrap(rows.Err())
}

// RoleByEmail is the role in a project of the account with a canonical address;
// fault.NotFound if there is none or it is no member.
func (q Queries) RoleByEmail(ctx context.Context, projectID, email string) (role string, err error) {
	err = q.hotRow(ctx, []any{&role}, `SELECT m.role FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.project_id = ? AND u.email = ?`, projectID, email)
	return role, err
}

// LockProject keeps everything that is decided on a project's people as it is
// until the transaction ends; a project that is not there is fault.NotFound.
func (tx Tx) LockProject(ctx context.Context, id string) error {
	text := `SELECT 1 FROM projects WHERE id = ?`
	if tx.engine == PostgreSQL {
		text += " FOR UPDATE"
	}
	var one int
	return tx.hotRow(ctx, []any{&one}, text, id)
}

// ActiveRole is the role in a project of a person whose account is active, and
// keeps both so until the transaction ends; fault.NotFound without either. The
// project must be locked.
func (tx Tx) ActiveRole(ctx context.Context, projectID, userID string) (role string, err error) {
	text := `SELECT m.role FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.project_id = ? AND m.user_id = ? AND u.is_active`
	if tx.engine == PostgreSQL {
		text += " FOR SHARE OF m, u"
	}
	err = tx.hotRow(ctx, []any{&role}, text, projectID, userID)
	return role, err
}

// InvitationCount is what a bound is held against.
type InvitationCount struct {
	N int
	// First is the first expiry, or the first time of sending, among those that
	// count.
	First Micros
}

func (tx Tx) invitationCount(ctx context.Context, text string, args ...any) (c InvitationCount, err error) {
	err = tx.hotRow(ctx, []any{&c.N, &c.First}, text, args...)
	return c, err
}

// PendingInvitations counts the invitations of a project that can be accepted,
// but for one.
func (tx Tx) PendingInvitations(ctx context.Context, projectID, exceptID string, now Micros) (InvitationCount, error) {
	return tx.invitationCount(ctx, `SELECT COUNT(*), COALESCE(MIN(expires_at), 0) FROM invitations
WHERE project_id = ? AND id <> ? AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ?`, projectID, exceptID, now)
}

// InvitationsTo counts the invitations of a project to an address, in whatever
// state, that were sent since a time.
func (tx Tx) InvitationsTo(ctx context.Context, projectID, email string, since Micros) (InvitationCount, error) {
	return tx.invitationCount(ctx, `SELECT COUNT(*), COALESCE(MIN(sent_at), 0) FROM invitations
WHERE project_id = ? AND email = ? AND sent_at > ?`, projectID, email, since)
}

// The digest of a link is written by statements with parameters: see accounts.go.
var insertInvitations = newInsertion("invitations", "id", "project_id", "email", "role", "environment_limits", "digest", "mailed_digest", "invited_by",
	"created_at", "sent_at", "expires_at", "accepted_at", "revoked_at")

// InsertInvitation adds an invitation; if one to the same address is open it is
// fault.Conflict.
func (tx Tx) InsertInvitation(ctx context.Context, i *Invitation) error {
	return tx.insertRows(ctx, insertInvitations, []any{
		i.ID, i.ProjectID, i.Email, i.Role, i.EnvironmentLimits, i.Digest, i.MailedDigest, i.InvitedBy,
		i.CreatedAt, i.SentAt, i.ExpiresAt, i.AcceptedAt, i.RevokedAt,
	})
}

// open is the condition under which something can still become of an invitation.
const open = ` AND accepted_at IS NULL AND revoked_at IS NULL`

// RenewInvitation gives an open invitation new links: their digests, by whom, when
// and until when. One that is not open is fault.NotFound.
func (tx Tx) RenewInvitation(ctx context.Context, i *Invitation) error {
	return affected(tx.hotExec(ctx, `UPDATE invitations SET digest = ?, mailed_digest = ?, invited_by = ?, sent_at = ?, expires_at = ?
WHERE id = ?`+open, i.Digest, i.MailedDigest, i.InvitedBy, i.SentAt, i.ExpiresAt, i.ID))
}

// AcceptInvitation uses an invitation up, by a link that has this digest. If
// it was used, revoked or renewed, or its time is over, it is fault.NotFound:
// of any number of transactions one succeeds.
func (tx Tx) AcceptInvitation(ctx context.Context, id string, digest []byte, now Micros) error {
	return affected(tx.hotExec(ctx, `UPDATE invitations SET accepted_at = ? WHERE id = ? AND (digest = ? OR mailed_digest = ?) AND expires_at > ?`+open, now, id, digest, digest, now))
}

// RevokeInvitation ends an open invitation; one that is not open is
// fault.NotFound.
func (tx Tx) RevokeInvitation(ctx context.Context, id string, now Micros) error {
	return affected(tx.hotExec(ctx, `UPDATE invitations SET revoked_at = ? WHERE id = ?`+open, now, id))
}

// CloseExpiredInvitation makes room for another invitation to an address: one
// whose time is over ends as of then.
func (tx Tx) CloseExpiredInvitation(ctx context.Context, projectID, email string, now Micros) error {
	_, err := tx.hotExec(ctx, `UPDATE invitations SET revoked_at = expires_at
WHERE project_id = ? AND email = ? AND expires_at <= ?`+open, projectID, email, now)
	return err
}

const revoked = ` RETURNING id, project_id, email, role`

// RevokeInvitationsBy ends what a person has invited to one of the roles, in one
// project or, if projectID is empty, in all, and returns what it was.
func (tx Tx) RevokeInvitationsBy(ctx context.Context, projectID, userID string, roles []string, now Micros) ([]Invitation, error) {
	args := []any{now, userID, projectID, projectID}
	for i := range 4 { // there are four roles, and none is empty
		role := ""
		if i < len(roles) {
			role = roles[i]
		}
		args = append(args, role)
	}
	return tx.revokeInvitations(ctx, `UPDATE invitations SET revoked_at = ?
WHERE invited_by = ? AND (? = '' OR project_id = ?) AND role IN (?, ?, ?, ?)`+open+revoked, args...)
}

// RevokeInvitationsTo ends the invitation of an address to a project, and
// returns what it was.
func (tx Tx) RevokeInvitationsTo(ctx context.Context, projectID, email string, now Micros) ([]Invitation, error) {
	return tx.revokeInvitations(ctx, `UPDATE invitations SET revoked_at = ? WHERE project_id = ? AND email = ?`+open+revoked, now, projectID, email)
}

func (tx Tx) revokeInvitations(ctx context.Context, text string, args ...any) ([]Invitation, error) {
	rows, err := tx.hot(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	return scanRevoked(rows)
}

func scanRevoked(rows *sql.Rows) (ended []Invitation, err error) {
	for rows.Next() {
		var i Invitation
		if err := rows.Scan(&i.ID, &i.ProjectID, &i.Email, &i.Role); err != nil {
			return nil, wrap(err)
		}
		ended = append(ended, i)
	}
	return ended, wrap(rows.Err())
}

// DeleteEndedInvitations removes the invitations that were accepted or revoked,
// or whose time was over, before a time.
func (tx Tx) DeleteEndedInvitations(ctx context.Context, before Micros) error {
	_, err := tx.hotExec(ctx, `DELETE FROM invitations WHERE COALESCE(accepted_at, revoked_at, expires_at) < ?`, before)
	return err
}
