package vault

import (
	"context"
	"errors"
	"slices"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// project finds a project for the caller and decides whether he may do a on it.
// It is the only way to a project: what the caller can not see is not found.
func (v *Vault) project(ctx context.Context, q store.Queries, p Principal, a Action, ref string) (*store.ProjectView, error) {
	rule, err := admit(p, a)
	if err != nil {
		return nil, err
	}
	if !validRef(ref) {
		return nil, errNotFound
	}
	view, err := q.ProjectFor(ctx, p.caller(), ref)
	if err != nil {
		return nil, err
	}
	return view, refusedIn(authorize(p, a, rule, api.Role(view.Role), false), view.ID, "", view.Slug)
}

// validRef reports whether text can name a project or environment at all.
func validRef(text string) bool { return api.CheckSlug(text) == "" || store.IsID(text) }

// Projects lists the projects that the caller can see, by slug.
func (v *Vault) Projects(ctx context.Context, p Principal, cursor string, limit int) (api.Page[api.Project], error) {
	page := api.Page[api.Project]{Results: []api.Project{}}
	if _, err := admit(p, ActionListProjects); err != nil {
		return page, err
	}
	limit, err := pageLimit(limit)
	if err != nil {
		return page, err
	}
	if cursor != "" && api.CheckSlug(cursor) != "" {
		return page, badCursor()
	}
	rows, err := v.store.Projects(ctx, p.caller(), cursor, limit+1)
	if err != nil {
		return page, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		page.Next = &rows[limit-1].Slug
	}
	for i := range rows {
		page.Results = append(page.Results, apiProject(&rows[i].Project, rows[i].Role))
	}
	return page, nil
}

// Project describes one project.
func (v *Vault) Project(ctx context.Context, p Principal, ref string) (api.Project, error) {
	view, err := v.project(ctx, v.store.Queries, p, ActionReadProject, ref)
	if err != nil {
		return api.Project{}, err
	}
	return apiProject(&view.Project, view.Role), nil
}

// CreateProject makes a project that the caller owns, with the environments
// development, staging and production.
func (v *Vault) CreateProject(ctx context.Context, p Principal, in api.CreateProject) (answer api.Project, err error) {
	if _, err := admit(p, ActionCreateProject); err != nil {
		return answer, err
	}
	cleanNames(&in.Name)
	slug, err := nameAndSlug(in.Name, in.Slug)
	if err != nil {
		return answer, err
	}
	if problem := api.CheckText(in.Description); problem != "" {
		return answer, fault.InvalidField("body.description", problem)
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) (err error) {
		answer, err = once(ctx, v, tx, p, ActionCreateProject, in, func() (api.Project, error) {
			return v.newProject(ctx, tx, p, in, slug)
		})
		if err != nil || p.Request.IdempotencyKey == "" {
			return err
		}
		_, err = tx.ProjectFor(ctx, p.caller(), answer.ID) // what is remembered he may not see any more
		return err
	})
	return answer, err
}

func (v *Vault) newProject(ctx context.Context, tx store.Tx, p Principal, in api.CreateProject, slug string) (api.Project, error) {
	now := v.micros()
	project := store.Project{ID: newID(), Slug: slug, Name: in.Name, Description: in.Description, CreatedAt: now, UpdatedAt: now}
	owner := store.Membership{ProjectID: project.ID, UserID: p.user.ID, Role: string(api.RoleOwner), CreatedAt: now}
	if err := tx.InsertProject(ctx, &project, &owner); err != nil {
		return api.Project{}, taken(err, "project", slug)
	}
	if err := tx.InsertEnvironments(ctx, firstEnvironments(project.ID, now)); err != nil {
		return api.Project{}, err
	}
	err := v.record(ctx, tx, p, event{action: ActionCreateProject, projectID: project.ID, target: slug})
	return apiProject(&project, string(api.RoleOwner)), err
}

func firstEnvironments(projectID string, now store.Micros) []store.Environment {
	var rows []store.Environment
	for i, name := range []string{"Development", "Staging", "Production"} {
		rows = append(rows, store.Environment{
			ID: newID(), ProjectID: projectID, Slug: api.Slugify(name), Name: name, Position: i, CreatedAt: now, UpdatedAt: now,
		})
	}
	return rows
}

// UpdateProject changes a project's name, slug or description.
func (v *Vault) UpdateProject(ctx context.Context, p Principal, ref string, in api.UpdateProject) (answer api.Project, err error) {
	cleanNames(in.Name)
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, err := v.project(ctx, tx.Queries, p, ActionUpdateProject, ref)
		if err != nil {
			return err
		}
		project, former := &view.Project, view.Project
		assign(&project.Name, in.Name)
		assign(&project.Slug, in.Slug)
		assign(&project.Description, in.Description)
		if err := checkNameAndSlug(project.Name, project.Slug); err != nil {
			return err
		}
		if problem := api.CheckText(project.Description); problem != "" {
			return fault.InvalidField("body.description", problem)
		}
		project.UpdatedAt = v.micros()
		answer = apiProject(project, view.Role)
		if err := tx.UpdateProject(ctx, project, "name", "slug", "description", "updated_at"); err != nil {
			return taken(err, "project", project.Slug)
		}
		return v.record(ctx, tx, p, event{
			action: ActionUpdateProject, projectID: project.ID, target: project.Slug,
			detail: changed("name", former.Name, project.Name, "slug", former.Slug, project.Slug, "description", former.Description, project.Description),
		})
	})
	return answer, err
}

// changed is the detail of an update, from triples of a field's name, former and
// new text: what has changed, and from what.
func changed(fields ...string) map[string]string {
	detail := map[string]string{}
	for f := range slices.Chunk(fields, 3) {
		if f[1] != f[2] {
			detail[f[0]] = f[2]
			detail["former_"+f[0]] = f[1]
		}
	}
	return detail
}

// DeleteProject removes a project with everything in it, also from the files of
// the database (see [store.Store.EraseTraces]). Its audit trail stays.
func (v *Vault) DeleteProject(ctx context.Context, p Principal, ref string) error {
	err := v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, err := v.project(ctx, tx.Queries, p, ActionDeleteProject, ref)
		if err != nil {
			return err
		}
		if err := tx.DeleteProject(ctx, view.ID); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionDeleteProject, projectID: view.ID, target: view.Slug})
	})
	if err == nil {
		v.eraseTraces(ctx)
	}
	return err
}

// nameAndSlug checks both, and makes the slug from the name if it is empty.
func nameAndSlug(name, slug string) (string, error) {
	if slug == "" && api.CheckName(name) == "" {
		if slug = api.Slugify(name); slug == "" {
			return "", fault.InvalidField("body.slug", "is needed: the name has no letters or digits to make one from")
		}
	}
	return slug, checkNameAndSlug(name, slug)
}

func checkNameAndSlug(name, slug string) error {
	if problem := api.CheckName(name); problem != "" {
		return fault.InvalidField("body.name", problem)
	}
	if problem := api.CheckSlug(slug); problem != "" {
		return fault.InvalidField("body.slug", problem)
	}
	if store.IsID(slug) { // else a slug could stand for another object's id
		return fault.InvalidField("body.slug", "must not look like an id")
	}
	return nil
}

// taken words the conflict of a slug.
func taken(err error, what, slug string) error {
	if errors.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Conflict, err, "The "+what+" slug "+slug+" is taken. Choose another.")
	}
	return err
}

func apiProject(row *store.Project, role string) api.Project {
	return api.Project{
		ID: row.ID, Slug: row.Slug, Name: row.Name, Description: row.Description, Role: api.Role(role),
		CreatedAt: row.CreatedAt.Time(), UpdatedAt: row.UpdatedAt.Time(),
	}
}
