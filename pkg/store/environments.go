package store

import (
	"context"
)

// EnvironmentView is an environment as one caller sees it, with what decides
// on his rights there.
type EnvironmentView struct {
	Environment
	ProjectSlug string
	Role        string // of a person; empty for a service token
	Access      string // of a service token; empty for a person
}

// The lookups of an environment by its path. The caller's membership or token
// is part of the query: for anyone else the row does not exist. They differ in
// whether project and environment are named by slug or by id.
const (
	environmentColumns = `
SELECT e.id, e.project_id, e.slug, e.name, e.position, e.is_protected, e.revision, e.secret_count, e.created_at, e.updated_at, p.slug`
	environmentOfUser = environmentColumns + `, m.role, ''
FROM projects p
JOIN memberships m ON m.project_id = p.id AND m.user_id = ?
JOIN environments e ON e.project_id = p.id`
	environmentOfToken = environmentColumns + `, '', t.access
FROM projects p
JOIN tokens t ON t.project_id = p.id AND t.id = ?
JOIN environments e ON e.project_id = p.id
JOIN token_environments te ON te.environment_id = e.id AND te.token_id = t.id`
)

// EnvironmentFor finds an environment by the slugs or ids of its path if the
// caller can see it. In a transaction the row is locked, so that changes of an
// environment's secrets come one after the other.
func (q Queries) EnvironmentFor(ctx context.Context, caller Caller, projectRef, ref string) (*EnvironmentView, error) {
	text, id := environmentOfUser, caller.UserID
	if caller.TokenID != "" {
		text, id = environmentOfToken, caller.TokenID
	}
	text += "\nWHERE " + idOrSlug("p", projectRef) + " = ? AND " + idOrSlug("e", ref) + " = ?"
	if q.locks && q.engine == PostgreSQL {
		text += " FOR UPDATE OF e"
	}
	v := new(EnvironmentView)
	e := &v.Environment
	err := q.hotRow(ctx, []any{
		&e.ID, &e.ProjectID, &e.Slug, &e.Name, &e.Position, &e.IsProtected, &e.Revision, &e.SecretCount,
		&e.CreatedAt, &e.UpdatedAt, &v.ProjectSlug, &v.Role, &v.Access,
	}, text, id, projectRef, ref)
	return v, err
}

// EnvironmentsOf lists the environments of a project in their order; for a
// service token only its own.
func (q Queries) EnvironmentsOf(ctx context.Context, caller Caller, projectID string) ([]Environment, error) {
	var rows []Environment
	query := q.db.NewSelect().Model(&rows).Where("e.project_id = ?", projectID)
	if caller.TokenID != "" {
		query = query.Join("JOIN token_environments AS te ON te.environment_id = e.id AND te.token_id = ?", caller.TokenID)
	}
	err := query.OrderExpr("e.position, e.slug").Scan(ctx)
	return rows, wrap(err)
}

// InsertEnvironments adds environments; a slug that is taken in its project is
// fault.Conflict.
func (tx Tx) InsertEnvironments(ctx context.Context, environments []Environment) error {
	return insertAll(ctx, tx.db, environments)
}

// UpdateEnvironment writes the named columns of an environment.
func (tx Tx) UpdateEnvironment(ctx context.Context, e *Environment, columns ...string) error {
	return affected(tx.db.NewUpdate().Model(e).Column(columns...).WherePK().Exec(ctx))
}

// DeleteEnvironment removes an environment and its secrets.
func (tx Tx) DeleteEnvironment(ctx context.Context, projectID, id string) error {
	return affected(tx.db.NewDelete().Model((*Environment)(nil)).
		Where("project_id = ?", projectID).Where("id = ?", id).Exec(ctx))
}
