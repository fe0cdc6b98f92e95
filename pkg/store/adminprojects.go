package store

import (
	"context"

	"github.com/uptrace/bun"
)

// ProjectOverview is a project as administrators of the server see it who need
// not be its members: nothing of what is in it.
type ProjectOverview struct {
	ID, Slug, Name string
	Members        int
	CreatedAt      Micros
	Owners         []string `bun:"-"` // addresses
}

// AllProjects lists the projects of the installation by slug, after the given
// one.
func (q Queries) AllProjects(ctx context.Context, after string, limit int) ([]ProjectOverview, error) {
	var rows []ProjectOverview
	err := q.db.NewSelect().TableExpr("projects AS p").
		ColumnExpr("p.id, p.slug, p.name, p.created_at").
		ColumnExpr("(SELECT COUNT(*) FROM memberships AS m WHERE m.project_id = p.id) AS members").
		Where("p.slug > ?", after).OrderExpr("p.slug").Limit(int64(limit)).Scan(ctx, &rows)
	if err != nil || len(rows) == 0 {
		return rows, wrap(err)
	}
	return rows, q.addOwners(ctx, rows)
}

func (q Queries) addOwners(ctx context.Context, rows []ProjectOverview) error {
	place := make(map[string]*ProjectOverview, len(rows))
	ids := make([]string, len(rows))
	for i := range rows {
		rows[i].Owners = []string{}
		place[rows[i].ID], ids[i] = &rows[i], rows[i].ID
	}
	var owners []struct{ ProjectID, Email string }
	err := q.db.NewSelect().TableExpr("memberships AS m").Join("JOIN users AS u ON u.id = m.user_id").
		ColumnExpr("m.project_id, u.email").Where("m.role = 'owner'").Where("m.project_id IN (?)", bun.List(ids)).
		OrderExpr("u.email").Scan(ctx, &owners)
	for _, o := range owners {
		place[o.ProjectID].Owners = append(place[o.ProjectID].Owners, o.Email)
	}
	return wrap(err)
}

// AnyProject finds a project by slug or id, whoever asks: it is for administrators
// of the server. In a transaction the row is locked.
func (q Queries) AnyProject(ctx context.Context, ref string) (*Project, error) {
	project := new(Project)
	query := q.db.NewSelect().Model(project).Where("? = ?", bun.Safe(idOrSlug("p", IsID(ref))), ref)
	err := q.locked(query, "p").Scan(ctx)
	return project, wrap(err)
}
