package vault

import (
	"context"
	"slices"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/store"
)

// revokeInvitationsBy ends the pending invitations that a person may not have
// made with the role that he is left with: empty if he is no member any more. It
// is for the transaction that takes the rights away, which has locked the
// project; p is who does that. An invitation that is being accepted meanwhile
// comes before or after it.
//
// An empty projectID stands for all projects: for the transaction that switches
// an account off, after it has done so. Acceptance asks for the account, too.
func (v *Vault) revokeInvitationsBy(ctx context.Context, tx store.Tx, p Principal, projectID, userID string, left api.Role) error {
	var lost []string
	for _, role := range api.Roles() {
		if mayInvite(left, role) != nil {
			lost = append(lost, string(role))
		}
	}
	ended, err := tx.RevokeInvitationsBy(ctx, projectID, userID, lost, v.micros())
	if err != nil {
		return err
	}
	return v.recordRevoked(ctx, tx, p, ended)
}

// revokeInvitationsTo ends the pending invitation of an address to a project. It
// is for the transaction that removes the member with this address, or makes him
// one by other means: an old link must not bring anybody back.
func (v *Vault) revokeInvitationsTo(ctx context.Context, tx store.Tx, p Principal, projectID, email string) error {
	ended, err := tx.RevokeInvitationsTo(ctx, projectID, email, v.micros())
	if err != nil {
		return err
	}
	return v.recordRevoked(ctx, tx, p, ended)
}

func (v *Vault) recordRevoked(ctx context.Context, tx store.Tx, p Principal, ended []store.Invitation) error {
	events := make([]event, 0, len(ended))
	for i := range ended {
		events = append(events, invitationEvent(ActionRevokeInvitation, &ended[i]))
	}
	if len(events) == 0 {
		return nil
	}
	slices.SortFunc(events, func(a, b event) int {
		return slices.Compare([]string{a.projectID, a.target}, []string{b.projectID, b.target})
	})
	return v.record(ctx, tx, p, events...)
}
