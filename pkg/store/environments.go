package store

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun"
)

// EnvironmentView is an environment as one caller sees it, with what decides
// on his rights there.
type EnvironmentView struct {
	Environment
	ProjectSlug string
	Role        string // of a person, in this environment: see Limits; empty for a service token
	Access      string // of a service token; empty for a person
	// SealingKey is the fingerprint of the key that new values are sealed with,
	// in a transaction that may write some. Empty: ask [Tx.SealingKey].
	SealingKey string
}

// EnvironmentFor finds an environment by the slugs or ids of its path if the
// caller can see it. In a transaction the row is locked, so that changes of an
// environment's secrets come one after the other.
func (q Queries) EnvironmentFor(ctx context.Context, caller Caller, projectRef, ref string) (*EnvironmentView, error) {
	use := q.use()
	text, id := environmentLookup.of(caller, projectRef, ref, use)
	v := new(EnvironmentView)
	e := &v.Environment
	dest := []any{
		&e.ID, &e.ProjectID, &e.Slug, &e.Name, &e.Position, &e.IsProtected, &e.Revision, &e.SecretCount,
		&e.CreatedAt, &e.UpdatedAt, &v.ProjectSlug, &v.Role, &v.Access,
	}
	if use == toRead {
		return v, q.hotRow(ctx, dest, text, id, projectRef, ref)
	}
	var sealing sql.NullString // none; or it was changed while the query waited for it
	err := q.hotRow(ctx, append(dest, &sealing), text, id, projectRef, ref)
	v.SealingKey = sealing.String
	return v, err
}

// EnvironmentsOf lists the environments of a project that the caller can see, in
// their order: for a service token its own, for a person those that the limits of
// his membership leave him.
func (q Queries) EnvironmentsOf(ctx context.Context, caller Caller, projectID string) ([]Environment, error) {
	return q.EnvironmentsIn(ctx, caller, []string{projectID})
}

// EnvironmentsIn is EnvironmentsOf for several projects at once.
func (q Queries) EnvironmentsIn(ctx context.Context, caller Caller, projectIDs []string) ([]Environment, error) {
	var rows []Environment
	if len(projectIDs) == 0 {
		return rows, nil
	}
	query := q.db.NewSelect().Model(&rows).Where("e.project_id IN (?)", bun.List(projectIDs))
	if caller.TokenID != "" {
		query = query.Join("JOIN token_environments AS te ON te.environment_id = e.id AND te.token_id = ?", caller.TokenID)
	} else {
		query = query.Join("JOIN memberships AS m ON m.project_id = e.project_id AND m.user_id = ? AND "+notHidden, caller.UserID)
	}
	err := query.OrderExpr("e.position, e.slug").Scan(ctx)
	return rows, wrap(err)
}

// EnvironmentPlaces says how many environments a project has, those included that
// somebody can not see, and the highest position among them (-1 if there are none).
func (q Queries) EnvironmentPlaces(ctx context.Context, projectID string) (count, last int, err error) {
	err = q.hotRow(ctx, []any{&count, &last},
		`SELECT COUNT(*), COALESCE(MAX(e.position), -1) FROM environments e WHERE e.project_id = ?`, projectID)
	return count, last, err
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
