package vault

import (
	"context"
	"fmt"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// EnvironmentRef names an environment by the slugs or ids of its path.
type EnvironmentRef struct {
	Project     string
	Environment string
}

// environment finds an environment for the caller and decides whether he may do
// a in it. It and secret are the only ways to an environment and the secrets in
// it: what the caller can not see is not found. In a transaction the row is
// locked.
func (v *Vault) environment(ctx context.Context, q store.Queries, p Principal, a Action, ref EnvironmentRef) (*store.EnvironmentView, error) {
	rule, err := admitTo(p, a, ref)
	if err != nil {
		return nil, err
	}
	view, err := q.EnvironmentFor(ctx, p.caller(), ref.Project, ref.Environment)
	if err != nil {
		return nil, err
	}
	return view, refusedIn(authorize(p, a, rule, api.Role(view.Role), view.IsProtected), view.ProjectID, view.Slug, view.Slug)
}

// secret finds a secret of an environment with one query, under the rules of
// environment.
func (v *Vault) secret(ctx context.Context, p Principal, a Action, ref SecretRef) (*store.EnvironmentView, *store.Secret, error) {
	rule, err := admitTo(p, a, ref.EnvironmentRef)
	if err != nil {
		return nil, nil, err
	}
	if api.CheckKey(ref.Key) != "" {
		return nil, nil, errNotFound
	}
	view, row, err := v.store.SecretFor(ctx, p.caller(), ref.Project, ref.Environment, ref.Key)
	if err != nil {
		return nil, nil, err
	}
	if err := authorize(p, a, rule, api.Role(view.Role), view.IsProtected); err != nil {
		return nil, nil, refusedIn(err, view.ProjectID, view.Slug, ref.Key)
	}
	if row == nil {
		return nil, nil, errNotFound
	}
	return view, row, nil
}

// admitTo decides what can be decided on a path before anything is looked up.
func admitTo(p Principal, a Action, ref EnvironmentRef) (Rule, error) {
	rule, err := admit(p, a)
	if err == nil && (!validRef(ref.Project) || !validRef(ref.Environment)) {
		err = errNotFound
	}
	return rule, err
}

// Environments lists the environments of a project that the caller can see, in
// their order.
func (v *Vault) Environments(ctx context.Context, p Principal, projectRef string) (api.Page[api.Environment], error) {
	page := api.Page[api.Environment]{Results: []api.Environment{}}
	project, err := v.project(ctx, v.store.Queries, p, ActionListEnvironments, projectRef)
	if err != nil {
		return page, err
	}
	rows, err := v.store.EnvironmentsOf(ctx, p.caller(), project.ID)
	for i := range rows {
		page.Results = append(page.Results, apiEnvironment(&rows[i]))
	}
	return page, err
}

// EnvironmentsByProject lists the environments of several projects that the caller can
// see, in their order, by the ids of the projects.
func (v *Vault) EnvironmentsByProject(ctx context.Context, p Principal, projects []api.Project) (map[string][]api.Environment, error) {
	if _, err := admit(p, ActionListEnvironments); err != nil {
		return nil, err
	}
	ids := make([]string, len(projects))
	for i := range projects {
		ids[i] = projects[i].ID
	}
	rows, err := v.store.EnvironmentsIn(ctx, p.caller(), ids)
	byProject := make(map[string][]api.Environment, len(projects))
	for i := range rows {
		byProject[rows[i].ProjectID] = append(byProject[rows[i].ProjectID], apiEnvironment(&rows[i]))
	}
	return byProject, err
}

// Environment describes one environment.
func (v *Vault) Environment(ctx context.Context, p Principal, ref EnvironmentRef) (api.Environment, error) {
	view, err := v.environment(ctx, v.store.Queries, p, ActionReadEnvironment, ref)
	if err != nil {
		return api.Environment{}, err
	}
	return apiEnvironment(&view.Environment), nil
}

// CreateEnvironment makes an environment after the existing ones. To make a
// protected one takes the role that changing one would.
func (v *Vault) CreateEnvironment(ctx context.Context, p Principal, projectRef string, in api.CreateEnvironment) (answer api.Environment, err error) {
	cleanNames(&in.Name)
	slug, err := nameAndSlug(in.Name, in.Slug)
	if err != nil {
		return answer, err
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		project, err := v.project(ctx, tx.Queries, p, ActionCreateEnvironment, projectRef)
		if err != nil {
			return err
		}
		if in.Protected {
			if err := authorize(p, ActionUpdateEnvironment, policy[ActionUpdateEnvironment], api.Role(project.Role), true); err != nil {
				return refusedIn(err, project.ID, slug, slug)
			}
		}
		request := struct {
			Project string
			In      api.CreateEnvironment
		}{project.ID, in}
		answer, err = once(ctx, v, tx, p, ActionCreateEnvironment, request, func() (api.Environment, error) {
			return v.newEnvironment(ctx, tx, p, project, in, slug)
		})
		if err != nil || p.Request.IdempotencyKey == "" {
			return err
		}
		_, err = tx.EnvironmentFor(ctx, p.caller(), project.ID, answer.ID) // what is remembered he may not see any more
		return err
	})
	return answer, err
}

func (v *Vault) newEnvironment(ctx context.Context, tx store.Tx, p Principal, project *store.ProjectView, in api.CreateEnvironment, slug string) (api.Environment, error) {
	count, last, err := tx.EnvironmentPlaces(ctx, project.ID)
	if err != nil {
		return api.Environment{}, err
	}
	if count >= api.MaxEnvironments {
		return api.Environment{}, fault.New(fault.Conflict, fmt.Sprintf("A project has at most %d environments.", api.MaxEnvironments))
	}
	now := v.micros()
	row := store.Environment{
		ID: newID(), ProjectID: project.ID, Slug: slug, Name: in.Name, Position: last + 1,
		IsProtected: in.Protected, CreatedAt: now, UpdatedAt: now,
	}
	if err := tx.InsertEnvironments(ctx, []store.Environment{row}); err != nil {
		return api.Environment{}, taken(err, "environment", slug)
	}
	err = v.record(ctx, tx, p, event{action: ActionCreateEnvironment, projectID: project.ID, environment: slug, target: slug})
	return apiEnvironment(&row), err
}

// UpdateEnvironment changes an environment's name, slug, position or
// protection. To protect one takes the role that unprotecting it would.
func (v *Vault) UpdateEnvironment(ctx context.Context, p Principal, ref EnvironmentRef, in api.UpdateEnvironment) (answer api.Environment, err error) {
	cleanNames(in.Name)
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, err := v.environment(ctx, tx.Queries, p, ActionUpdateEnvironment, ref)
		if err != nil {
			return err
		}
		row, former := &view.Environment, view.Environment
		assign(&row.Name, in.Name)
		assign(&row.Slug, in.Slug)
		assign(&row.Position, in.Position)
		assign(&row.IsProtected, in.Protected)
		if row.IsProtected {
			if err := authorize(p, ActionUpdateEnvironment, policy[ActionUpdateEnvironment], api.Role(view.Role), true); err != nil {
				return refusedIn(err, view.ProjectID, former.Slug, former.Slug)
			}
		}
		if err := checkNameAndSlug(row.Name, row.Slug); err != nil {
			return err
		}
		if row.Position < 0 || row.Position > maxPosition {
			return fault.InvalidField("body.position", "must be from 0 to 10000")
		}
		row.UpdatedAt = v.micros()
		answer = apiEnvironment(row)
		if err := tx.UpdateEnvironment(ctx, row, "name", "slug", "position", "is_protected", "updated_at"); err != nil {
			return taken(err, "environment", row.Slug)
		}
		return v.record(ctx, tx, p, event{
			action: ActionUpdateEnvironment, projectID: row.ProjectID, environment: row.Slug, target: row.Slug,
			detail: changed("name", former.Name, row.Name, "slug", former.Slug, row.Slug,
				"position", strconv.Itoa(former.Position), strconv.Itoa(row.Position),
				"protected", strconv.FormatBool(former.IsProtected), strconv.FormatBool(row.IsProtected)),
		})
	})
	return answer, err
}

// DeleteEnvironment removes an environment and its secrets, also from the files
// of the database (see [store.Store.EraseTraces]).
func (v *Vault) DeleteEnvironment(ctx context.Context, p Principal, ref EnvironmentRef) error {
	err := v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, err := v.environment(ctx, tx.Queries, p, ActionDeleteEnvironment, ref)
		if err != nil {
			return err
		}
		if err := tx.DeleteEnvironment(ctx, view.ProjectID, view.ID); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionDeleteEnvironment, projectID: view.ProjectID, environment: view.Slug, target: view.Slug})
	})
	if err == nil {
		v.eraseTraces(ctx)
	}
	return err
}

func apiEnvironment(row *store.Environment) api.Environment {
	return api.Environment{
		ID: row.ID, Slug: row.Slug, Name: row.Name, Position: row.Position, Protected: row.IsProtected,
		Revision: row.Revision, SecretCount: row.SecretCount,
		CreatedAt: row.CreatedAt.Time(), UpdatedAt: row.UpdatedAt.Time(),
	}
}
