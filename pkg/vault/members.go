package vault

import (
	"context"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/store"
)

// Members lists the members of a project by their addresses. What is said of
// environments is limited to those that the caller can see himself.
func (v *Vault) Members(ctx context.Context, p Principal, projectRef string) (api.Page[api.Member], error) {
	page := api.Page[api.Member]{Results: []api.Member{}}
	project, err := v.project(ctx, v.store.Queries, p, ActionListMembers, projectRef)
	if err != nil {
		return page, err
	}
	environments, err := v.store.EnvironmentsOf(ctx, p.caller(), project.ID)
	if err != nil {
		return page, err
	}
	rows, err := v.store.MembersOf(ctx, project.ID)
	if err != nil {
		return page, err
	}
	for i := range rows {
		limits, err := store.ParseLimits(rows[i].EnvironmentLimits)
		if err != nil {
			return page, err
		}
		page.Results = append(page.Results, apiMember(&rows[i], limits, environments))
	}
	return page, nil
}

// UpdateMember changes what a member may do. Nobody changes someone of his own
// rank or above but himself, unless he is owner, and nobody gives a role above his
// own. The last owner with an active account can not be lowered (fault.Conflict).
// Who is lowered can not be joined any more by invitations that he could not make
// now. The service tokens that he has made stay, because programs use them; their
// text may be known to him, so the audit trail says how many there are.
func (v *Vault) UpdateMember(ctx context.Context, p Principal, projectRef, userID string, in api.UpdateMember) (answer api.Member, err error) {
	if in.Role != nil {
		if err := checkRole(*in.Role); err != nil {
			return answer, err
		}
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		project, member, err := v.member(ctx, tx, p, ActionUpdateMember, projectRef, userID)
		if err != nil {
			return err
		}
		environments, err := tx.EnvironmentsOf(ctx, p.caller(), project.ID)
		if err != nil {
			return err
		}
		former, err := store.ParseLimits(member.EnvironmentLimits)
		if err != nil {
			return err
		}
		role := api.Role(member.Role)
		assign(&role, in.Role)
		limits, err := narrow(former, role, in.Environments, environments)
		if err != nil {
			return err
		}
		change := memberChange{Member: *member, formerRole: api.Role(member.Role)}
		change.Role, change.EnvironmentLimits = string(role), limits.String()
		answer = apiMember(&change.Member, limits, environments)
		change.detail = changed("role", member.Role, change.Role,
			"environments", limitsText(apiLimits(former, environments)), limitsText(answer.Environments))
		return v.changeMember(ctx, tx, p, project, &change)
	})
	return answer, err
}

// memberChange is a member as he is to be, and what he was.
type memberChange struct {
	store.Member
	formerRole api.Role
	detail     map[string]string // of the audit event; empty: nothing changes
}

func (v *Vault) changeMember(ctx context.Context, tx store.Tx, p Principal, project *store.ProjectView, c *memberChange) error {
	role := api.Role(c.Role)
	if role != c.formerRole {
		if err := mayGrant(api.Role(project.Role), role); err != nil {
			return refusedIn(refuseAction(ActionUpdateMember, err), project.ID, "", c.Email)
		}
	}
	if len(c.detail) == 0 {
		return nil
	}
	if err := tx.UpdateMembership(ctx, &c.Membership); err != nil {
		return err
	}
	if !role.AtLeast(c.formerRole) {
		if err := v.lowered(ctx, tx, p, &c.Membership, c.formerRole); err != nil {
			return err
		}
		n, err := tx.CountTokensMadeBy(ctx, project.ID, c.UserID)
		if err != nil {
			return err
		}
		if needed := policy[ActionCreateToken].Role; n > 0 && c.formerRole.AtLeast(needed) && !role.AtLeast(needed) {
			c.detail = with(c.detail, "service_tokens_kept", strconv.Itoa(n))
		}
	}
	return v.record(ctx, tx, p, event{
		action: ActionUpdateMember, projectID: project.ID, target: c.Email, detail: with(c.detail, "id", c.UserID),
	})
}

// RemoveMember ends a membership: that of somebody below the caller's rank, by an
// owner anybody's, or his own, which everybody may leave. The service tokens of
// the project that the person has made are revoked, unless the caller could make
// such tokens and wants to keep them. The last owner with an active account can
// not go (fault.Conflict). Invitations that the person has made end.
func (v *Vault) RemoveMember(ctx context.Context, p Principal, projectRef, userID string, keepTokens bool) error {
	action := ActionRemoveMember
	if p.user != nil && p.user.ID == userID {
		action = ActionLeaveProject
	}
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		project, member, err := v.member(ctx, tx, p, action, projectRef, userID)
		if err != nil {
			return err
		}
		if keepTokens {
			// Who leaves may know the tokens that he would keep.
			if err := authorize(p, ActionCreateToken, policy[ActionCreateToken], api.Role(project.Role), false); err != nil {
				return refusedIn(err, project.ID, "", member.Email)
			}
		}
		if err := tx.DeleteMembership(ctx, project.ID, userID); err != nil {
			return err
		}
		left := member.Membership
		left.Role = ""
		if err := v.lowered(ctx, tx, p, &left, api.Role(member.Role)); err != nil {
			return err
		}
		if err := v.revokeInvitationsTo(ctx, tx, p, project.ID, member.Email); err != nil {
			return err
		}
		removal := event{
			action: action, projectID: project.ID, target: member.Email,
			detail: map[string]string{"id": userID, "role": member.Role},
		}
		if keepTokens {
			removal.detail["kept_tokens"] = "true"
			return v.record(ctx, tx, p, removal)
		}
		revoked, err := v.revokeTokensMadeBy(ctx, tx, project.ID, userID, action)
		if err != nil {
			return err
		}
		return v.record(ctx, tx, p, append([]event{removal}, revoked...)...)
	})
}

// member finds a member of a project for the caller to do a with him. Project and
// membership are locked.
func (v *Vault) member(ctx context.Context, tx store.Tx, p Principal, a Action, projectRef, userID string) (*store.ProjectView, *store.Member, error) {
	project, err := v.project(ctx, tx.Queries, p, a, projectRef)
	if err != nil {
		return nil, nil, err
	}
	if !store.IsID(userID) {
		return nil, nil, errNotFound
	}
	member, err := tx.MemberOf(ctx, project.ID, userID)
	if err != nil {
		return nil, nil, err
	}
	if err := mayActOn(api.Role(project.Role), api.Role(member.Role), p.user.ID == userID); err != nil {
		return nil, nil, refusedIn(refuseAction(a, err), project.ID, "", member.Email)
	}
	return project, member, nil
}

// lowered does what belongs to it when somebody is left with less than the role
// that he had in a project: the project must keep an owner, and the invitations
// end that he could not make any more.
func (v *Vault) lowered(ctx context.Context, tx store.Tx, p Principal, left *store.Membership, former api.Role) error {
	if former == api.RoleOwner {
		if err := v.keepAnOwner(ctx, tx, left.ProjectID); err != nil {
			return err
		}
	}
	return v.revokeInvitationsBy(ctx, tx, p, left.ProjectID, left.UserID, api.Role(left.Role))
}

// revokeTokensMadeBy revokes the service tokens of a project that a person has
// made, and returns the events of it.
func (v *Vault) revokeTokensMadeBy(ctx context.Context, tx store.Tx, projectID, userID string, because Action) ([]event, error) {
	tokens, err := tx.DeleteTokensMadeBy(ctx, projectID, userID)
	var events []event
	for i := range tokens {
		events = append(events, event{
			action: ActionRevokeToken, projectID: projectID, target: tokens[i].Name,
			detail: map[string]string{"id": tokens[i].ID, "because": string(because)},
		})
	}
	return events, err
}

func apiMember(row *store.Member, limits store.Limits, environments []store.Environment) api.Member {
	return api.Member{
		ID: row.UserID, Email: row.Email, FirstName: row.FirstName, LastName: row.LastName, Role: api.Role(row.Role),
		Environments: apiLimits(limits, environments), IsActive: row.IsActive, CreatedAt: row.CreatedAt.Time(),
	}
}
