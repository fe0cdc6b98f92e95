package store

import (
	"context"

	"github.com/uptrace/bun"
)

// Caller says for whom something is looked up: exactly one of the two is set.
type Caller struct {
	UserID  string // a person: sees the projects he is a member of
	TokenID string // a service token: sees its project and its environments
}

// ProjectView is a project as one caller sees it.
type ProjectView struct {
	Project `bun:",extend"`
	Role    string // of the caller; empty for a service token
}

// projectsOf selects the projects that the caller can see.
func (q Queries) projectsOf(caller Caller) *bun.SelectQuery {
	query := q.db.NewSelect().Model((*Project)(nil)).ColumnExpr("p.*")
	if caller.TokenID != "" {
		return query.ColumnExpr("'' AS role").
			Join("JOIN tokens AS t ON t.project_id = p.id AND t.id = ?", caller.TokenID)
	}
	return query.ColumnExpr("m.role AS role").
		Join("JOIN memberships AS m ON m.project_id = p.id AND m.user_id = ?", caller.UserID)
}

// Projects lists what the caller can see, by slug, after the given one.
func (q Queries) Projects(ctx context.Context, caller Caller, after string, limit int) ([]ProjectView, error) {
	var rows []ProjectView
	err := q.projectsOf(caller).Where("p.slug > ?", after).
		OrderExpr("p.slug").Limit(int64(limit)).Scan(ctx, &rows)
	return rows, wrap(err)
}

// ProjectFor finds a project by slug or id if the caller can see it. In a
// transaction the row is locked, so that what is decided on it holds.
func (q Queries) ProjectFor(ctx context.Context, caller Caller, ref string) (*ProjectView, error) {
	view := new(ProjectView)
	query := q.projectsOf(caller).Where("? = ?", bun.Safe(idOrSlug("p", IsID(ref))), ref)
	err := q.locked(query, "p"+lockOfProjectRights[caller.TokenID != ""]).Scan(ctx, view)
	return view, wrap(err)
}

// locked adds a row lock in a PostgreSQL transaction. SQLite has one writer at
// a time and needs none.
func (q Queries) locked(query *bun.SelectQuery, alias string) *bun.SelectQuery {
	if !q.locks || q.engine == SQLite {
		return query
	}
	return query.For("UPDATE OF ?", bun.Safe(alias))
}

// lockOfProjectRights is lockOfRights for the query of a project.
var lockOfProjectRights = map[bool]string{false: " FOR SHARE OF m", true: " FOR KEY SHARE OF t"}

// InsertProject adds a project with its first member; a slug that is taken is
// fault.Conflict.
func (tx Tx) InsertProject(ctx context.Context, project *Project, first *Membership) error {
	if _, err := tx.db.NewInsert().Model(project).Exec(ctx); err != nil {
		return wrap(err)
	}
	_, err := tx.db.NewInsert().Model(first).Exec(ctx)
	return wrap(err)
}

// UpdateProject writes the named columns of a project.
func (tx Tx) UpdateProject(ctx context.Context, project *Project, columns ...string) error {
	return affected(tx.db.NewUpdate().Model(project).Column(columns...).WherePK().Exec(ctx))
}

// DeleteProject removes a project and everything in it but its audit trail.
func (tx Tx) DeleteProject(ctx context.Context, id string) error {
	return affected(tx.db.NewDelete().Model((*Project)(nil)).Where("id = ?", id).Exec(ctx))
}

// InsertMembership makes a user a member; one who is a member already is
// fault.Conflict.
func (tx Tx) InsertMembership(ctx context.Context, m *Membership) error {
	_, err := tx.db.NewInsert().Model(m).Exec(ctx)
	return wrap(err)
}
