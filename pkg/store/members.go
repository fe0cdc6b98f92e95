package store

import (
	"context"

	"github.com/uptrace/bun"
)

// Member is a person in a project.
type Member struct {
	Membership `bun:",extend"`
	Email      string
	FirstName  string
	LastName   string
	IsActive   bool // his account is
}

func (q Queries) members(projectID string) *bun.SelectQuery {
	return q.db.NewSelect().Model((*Membership)(nil)).
		ColumnExpr("m.*, u.email, u.first_name, u.last_name, u.is_active").
		Join("JOIN users AS u ON u.id = m.user_id").Where("m.project_id = ?", projectID)
}

// MembersOf lists the members of a project by their addresses.
func (q Queries) MembersOf(ctx context.Context, projectID string) ([]Member, error) {
	var rows []Member
	err := q.members(projectID).OrderExpr("u.email").Scan(ctx, &rows)
	return rows, wrap(err)
}

// MemberOf finds one member of a project. In a transaction the membership is
// locked, so that what is decided on it holds; lock the project before it.
func (q Queries) MemberOf(ctx context.Context, projectID, userID string) (*Member, error) {
	member := new(Member)
	err := q.locked(q.members(projectID).Where("m.user_id = ?", userID), "m").Scan(ctx, member)
	return member, wrap(err)
}

// UpdateMembership writes the role and the limits of a member. The project must
// be locked.
func (tx Tx) UpdateMembership(ctx context.Context, m *Membership) error {
	return affected(tx.db.NewUpdate().Model(m).Column("role", "environment_limits").WherePK().Exec(ctx))
}

// DeleteMembership ends a membership. The project must be locked.
func (tx Tx) DeleteMembership(ctx context.Context, projectID, userID string) error {
	return affected(tx.db.NewDelete().Model((*Membership)(nil)).
		Where("project_id = ?", projectID).Where("user_id = ?", userID).Exec(ctx))
}

// HasActiveOwner reports whether a project has an owner whose account is active,
// and keeps that so until the transaction ends: the project must be locked, so
// that its owners stay, and the account of the one that was found is locked, so
// that it stays active. An account that is being deactivated is waited for.
func (tx Tx) HasActiveOwner(ctx context.Context, projectID string) (bool, error) {
	text := `SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.project_id = ? AND m.role = 'owner' AND u.is_active LIMIT 1`
	if tx.engine == PostgreSQL {
		text += " FOR SHARE OF u"
	}
	var one int
	err := tx.hotRow(ctx, []any{&one}, text, projectID)
	return err == nil, ignoreNotFound(err)
}

// OwnedProjects lists the projects that a person owns, and locks them, in the
// order of their ids.
func (tx Tx) OwnedProjects(ctx context.Context, userID string) ([]Project, error) {
	var rows []Project
	query := tx.db.NewSelect().Model(&rows).
		Join("JOIN memberships AS m ON m.project_id = p.id").
		Where("m.user_id = ?", userID).Where("m.role = 'owner'").OrderExpr("p.id")
	err := tx.locked(query, "p").Scan(ctx)
	return rows, wrap(err)
}

// CountTokensMadeBy says how many service tokens of a project a person has created.
func (q Queries) CountTokensMadeBy(ctx context.Context, projectID, userID string) (n int, err error) {
	err = q.hotRow(ctx, []any{&n}, `SELECT COUNT(*) FROM tokens
WHERE project_id = ? AND created_by_kind = 'user' AND created_by_id = ?`, projectID, userID)
	return n, err
}

// DeleteTokensMadeBy revokes the service tokens of a project that a person has
// created, and returns what they were, oldest first.
func (tx Tx) DeleteTokensMadeBy(ctx context.Context, projectID, userID string) ([]Token, error) {
	return tx.deleteTokens(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("t.project_id = ?", projectID).Where("t.created_by_kind = 'user'").Where("t.created_by_id = ?", userID)
	})
}
