package vault

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// AllProjects lists the projects of the server by slug: who answers for them, and
// nothing of what is in them. For administrators.
func (v *Vault) AllProjects(ctx context.Context, p Principal, cursor string, limit int) (api.Page[api.AdminProject], error) {
	page := api.Page[api.AdminProject]{Results: []api.AdminProject{}}
	if _, err := admit(p, ActionListAllProjects); err != nil {
		return page, err
	}
	limit, err := pageLimit(limit)
	if err != nil {
		return page, err
	}
	if cursor != "" && api.CheckSlug(cursor) != "" {
		return page, badCursor()
	}
	rows, err := v.store.AllProjects(ctx, cursor, limit+1)
	if err != nil {
		return page, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		page.Next = &rows[limit-1].Slug
	}
	for _, r := range rows {
		page.Results = append(page.Results, api.AdminProject{
			ID: r.ID, Slug: r.Slug, Name: r.Name, Owners: r.Owners, Members: r.Members, CreatedAt: r.CreatedAt.Time(),
		})
	}
	return page, nil
}

// JoinProject makes the calling administrator a member of a project, or raises
// his role in it. An administrator has no rights in a project before; that he
// takes them is in the project's audit trail, and every owner with an active
// account is told by mail.
func (v *Vault) JoinProject(ctx context.Context, p Principal, ref string, in api.JoinProject) (answer api.Project, err error) {
	if err := checkRole(in.Role); err != nil {
		return answer, err
	}
	err = v.administer(ctx, p, ActionJoinProject, func(ctx context.Context, tx store.Tx) error {
		if !validRef(ref) {
			return errNotFound
		}
		project, err := tx.AnyProject(ctx, ref)
		if err != nil {
			return err
		}
		detail, err := v.join(ctx, tx, p, project, in.Role)
		if err != nil {
			return err
		}
		if err := v.revokeInvitationsTo(ctx, tx, p, project.ID, p.user.Email); err != nil {
			return err
		}
		if err := v.tellOwners(ctx, tx, p, project, in.Role); err != nil {
			return err
		}
		answer = apiProject(project, string(in.Role))
		return v.record(ctx, tx, p, event{action: ActionJoinProject, projectID: project.ID, target: p.user.Email, detail: detail})
	})
	return answer, err
}

// join gives the caller the role in a project that is locked. What limited him in
// single environments ends: he has taken the role for himself.
func (v *Vault) join(ctx context.Context, tx store.Tx, p Principal, project *store.Project, role api.Role) (map[string]string, error) {
	detail := map[string]string{"role": string(role)}
	member, err := tx.MemberOf(ctx, project.ID, p.user.ID)
	if errors.Is(err, fault.NotFound) {
		return detail, tx.InsertMembership(ctx, &store.Membership{
			ProjectID: project.ID, UserID: p.user.ID, Role: string(role), CreatedAt: v.micros(),
		})
	}
	if err != nil {
		return nil, err
	}
	if former := api.Role(member.Role); former.AtLeast(role) && (former != role || member.EnvironmentLimits == "") {
		return nil, fault.Newf(fault.Conflict, "You are a member of this project already, as %s.", former)
	}
	detail["former_role"] = member.Role
	member.Role, member.EnvironmentLimits = string(role), ""
	return detail, tx.UpdateMembership(ctx, &member.Membership)
}

// tellOwners has a mail sent to every owner of a project but the caller.
func (v *Vault) tellOwners(ctx context.Context, tx store.Tx, p Principal, project *store.Project, role api.Role) error {
	members, err := tx.MembersOf(ctx, project.ID)
	if err != nil {
		return err
	}
	told := mail.AdministratorJoined{Administrator: p.user.Email, Project: project.Name, Role: string(role), At: v.now()}
	for _, m := range members {
		if api.Role(m.Role) != api.RoleOwner || !m.IsActive || m.UserID == p.user.ID {
			continue
		}
		if err := v.queueMail(ctx, tx, m.Email, told); err != nil {
			return err
		}
	}
	return nil
}
