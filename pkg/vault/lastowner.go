package vault

import (
	"context"
	"fmt"
	"strings"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// keepAnOwner refuses a change after which a project has no owner whose account
// is active: then nobody could ever make one. It belongs after the change, in its
// transaction, which must have locked the project before it looked at anything
// (as [Vault.project] does): of two owners who remove each other, the second
// waits, and finds that he is the last.
func (v *Vault) keepAnOwner(ctx context.Context, tx store.Tx, projectID string) error {
	has, err := tx.HasActiveOwner(ctx, projectID)
	if err == nil && !has {
		err = fault.New(fault.Conflict, "A project needs an owner whose account is active, and this is the last one. Make somebody else an owner first, or delete the project.")
	}
	return err
}

// keepOwnersWithout refuses to deactivate an account that some project needs. It
// belongs after the account was made inactive, in the same transaction: whoever
// counts on that account meanwhile waits for it, and what the person owned before
// is found here. It locks all the projects that he owns, in the order of their
// ids.
func (v *Vault) keepOwnersWithout(ctx context.Context, tx store.Tx, userID string) error {
	projects, err := tx.OwnedProjects(ctx, userID)
	if err != nil {
		return err
	}
	var orphans []string
	for _, p := range projects {
		has, err := tx.HasActiveOwner(ctx, p.ID)
		if err != nil {
			return err
		}
		if !has {
			orphans = append(orphans, p.Slug)
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	const shown = 5
	names := strings.Join(orphans[:min(shown, len(orphans))], ", ")
	if more := len(orphans) - shown; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fault.Newf(fault.Conflict, "Nobody else with an active account owns %s. Make somebody else an owner there first, or delete what is not needed; an administrator can join a project as its owner.", names)
}
