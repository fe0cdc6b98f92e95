package vault

import (
	"context"
	"slices"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/store"
)

// maxPosition is the highest position that an environment can have.
const maxPosition = 10_000

// MoveEnvironment moves an environment one place towards the beginning of the list, or
// towards its end, among those that the caller can see. It takes the rights to change
// this environment; the others only make room. At the end of the list nothing changes.
func (v *Vault) MoveEnvironment(ctx context.Context, p Principal, ref EnvironmentRef, up bool) error {
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		// The project is locked, so that moves come one after the other.
		if _, err := v.project(ctx, tx.Queries, p, ActionListEnvironments, ref.Project); err != nil {
			return err
		}
		view, err := v.environment(ctx, tx.Queries, p, ActionUpdateEnvironment, ref)
		if err != nil {
			return err
		}
		rows, err := tx.EnvironmentsOf(ctx, p.caller(), view.ProjectID)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(rows, func(e store.Environment) bool { return e.ID == view.ID })
		to := at + 1
		if up {
			to = at - 1
		}
		if at < 0 || to < 0 || to >= len(rows) {
			return nil
		}
		places := distinctPlaces(rows)
		rows[at], rows[to] = rows[to], rows[at]
		for i := range rows {
			if rows[i].Position == places[i] {
				continue
			}
			rows[i].Position, rows[i].UpdatedAt = places[i], v.micros()
			if err := tx.UpdateEnvironment(ctx, &rows[i], "position", "updated_at"); err != nil {
				return err
			}
		}
		return v.record(ctx, tx, p, event{
			action: ActionUpdateEnvironment, projectID: view.ProjectID, environment: view.Slug, target: view.Slug,
			detail: changed("position", strconv.Itoa(view.Position), strconv.Itoa(rows[to].Position)),
		})
	})
}

// distinctPlaces are the positions of environments in their order, moved apart where
// two have the same.
func distinctPlaces(rows []store.Environment) []int {
	places := make([]int, len(rows))
	for i := range rows {
		places[i] = rows[i].Position
		if i > 0 && places[i] <= places[i-1] {
			places[i] = places[i-1] + 1
		}
	}
	if len(places) > 0 && places[len(places)-1] > maxPosition {
		for i := range places {
			places[i] = i
		}
	}
	return places
}

// RoleMayProtect tells whether a role in a project allows to protect environments, and
// to end that.
func RoleMayProtect(role api.Role) bool {
	return role.AtLeast(policy[ActionUpdateEnvironment].ProtectedRole)
}
