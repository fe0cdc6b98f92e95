package store_test

import (
	"context"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// invited is an invitation of ann's to shop that can be accepted until 100.
func (w *world) invited(n int, email string) store.Invitation {
	return store.Invitation{
		ID: id(n), ProjectID: w.shop.ID, Email: email, Role: "member", Digest: digest(n), InvitedBy: w.ann.ID,
		CreatedAt: 10, SentAt: 10, ExpiresAt: 100,
	}
}

// TestTheStatementThatAcceptsIsEnough: whatever was looked at before it, an
// invitation that is used, revoked, renewed or out of time is not accepted.
func TestTheStatementThatAcceptsIsEnough(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		accept := func(n int, digest []byte, now store.Micros) func(context.Context, store.Tx) error {
			return func(ctx context.Context, tx store.Tx) error { return tx.AcceptInvitation(ctx, id(n), digest, now) }
		}
		for n, email := range map[int]string{51: "a@example.com", 52: "b@example.com", 53: "c@example.com"} {
			i := w.invited(n, email)
			w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.InsertInvitation(ctx, &i) })
		}
		w.refused(t, fault.NotFound, accept(51, digest(51), 100)) // out of time
		w.refused(t, fault.NotFound, accept(51, digest(52), 99))  // another link
		w.write(t, accept(51, digest(51), 99))
		w.refused(t, fault.NotFound, accept(51, digest(51), 99)) // used

		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.RevokeInvitation(ctx, id(52), 20) })
		w.refused(t, fault.NotFound, accept(52, digest(52), 30))
		for _, ended := range []int{51, 52} {
			w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.RevokeInvitation(ctx, id(ended), 40) })
			w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error {
				return tx.RenewInvitation(ctx, &store.Invitation{ID: id(ended), Digest: digest(60), InvitedBy: w.ann.ID})
			})
		}

		renewed := w.invited(53, "c@example.com")
		renewed.Digest, renewed.InvitedBy, renewed.SentAt, renewed.ExpiresAt = digest(63), w.bob.ID, 50, 200
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.RenewInvitation(ctx, &renewed) })
		w.refused(t, fault.NotFound, accept(53, digest(53), 60))
		w.write(t, accept(53, digest(63), 199))
	})
}

// TestInvitationsOfOneAddress: one can be open; one whose time is over makes room.
func TestInvitationsOfOneAddress(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		first, second := w.invited(51, "a@example.com"), w.invited(52, "a@example.com")
		insert := func(i *store.Invitation) func(context.Context, store.Tx) error {
			return func(ctx context.Context, tx store.Tx) error { return tx.InsertInvitation(ctx, i) }
		}
		closeExpired := func(now store.Micros) func(context.Context, store.Tx) error {
			return func(ctx context.Context, tx store.Tx) error {
				return tx.CloseExpiredInvitation(ctx, w.shop.ID, "a@example.com", now)
			}
		}
		w.write(t, insert(&first))
		w.write(t, closeExpired(99))
		w.refused(t, fault.Conflict, insert(&second))
		w.write(t, closeExpired(100))
		w.write(t, insert(&second))
		closed := must(w.Invitation(t.Context(), w.shop.ID, id(51)))
		equal(t, "the first ended", *closed.RevokedAt, closed.ExpiresAt)
		_, err := w.Invitation(t.Context(), w.lab.ID, id(51))
		isKind(t, "as one of another project", err, fault.NotFound)
		equal(t, "open in lab", len(must(w.OpenInvitations(t.Context(), w.lab.ID))), 0)

		views := must(w.OpenInvitations(t.Context(), w.shop.ID))
		equal(t, "open in shop", len(views), 1)
		equal(t, "of", []string{views[0].ID, views[0].ProjectSlug, views[0].Inviter.Email, views[0].InviterRole}, []string{id(52), "shop", "ann@example.com", "owner"})
		byLink := must(w.InvitationByDigest(t.Context(), digest(52)))
		equal(t, "by its link", byLink.ID, id(52))
	})
}

// TestRevocationKeepsToItsScope: of one person, one project, some roles.
func TestRevocationKeepsToItsScope(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		shop, lab, bobs, admin := w.invited(51, "a@example.com"), w.invited(52, "a@example.com"), w.invited(53, "b@example.com"), w.invited(54, "c@example.com")
		lab.ProjectID, bobs.InvitedBy, admin.Role = w.lab.ID, w.bob.ID, "admin"
		for _, i := range []store.Invitation{shop, lab, bobs, admin} {
			w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.InsertInvitation(ctx, &i) })
		}
		revoke := func(projectID string, roles ...string) (ids []string) {
			w.write(t, func(ctx context.Context, tx store.Tx) error {
				ended, err := tx.RevokeInvitationsBy(ctx, projectID, w.ann.ID, roles, 20)
				ids = nil
				for _, i := range ended {
					ids = append(ids, i.ID)
				}
				return err
			})
			return ids
		}
		equal(t, "no roles", revoke(w.shop.ID), []string(nil))
		equal(t, "owners", revoke(w.shop.ID, "owner"), []string(nil))
		equal(t, "admins", revoke(w.shop.ID, "admin", "owner"), []string{id(54)})
		equal(t, "members of shop", revoke(w.shop.ID, "viewer", "member", "admin", "owner"), []string{id(51)})
		equal(t, "members of all", revoke("", "viewer", "member", "admin", "owner"), []string{id(52)})
		equal(t, "bob's stays", len(must(w.OpenInvitations(t.Context(), w.shop.ID))), 1)
	})
}
