package store_test

import (
	"context"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestLimitsKeepTheirForm(t *testing.T) {
	t.Parallel()
	limits := store.Limits{id(2): store.LimitRead, id(1): store.LimitNone, id(3): store.LimitNone}
	text := "none:" + id(1) + " read:" + id(2) + " none:" + id(3)
	equal(t, "text", limits.String(), text)
	equal(t, "limits", must(store.ParseLimits(text)), limits)
	equal(t, "no limits", store.Limits{}.String(), "")
	equal(t, "no text", must(store.ParseLimits("")), store.Limits{})
	for _, wrong := range []string{"none", "none:", "write:" + id(1), "None:" + id(1), "none:production", id(1), "none:" + id(1) + ",read:" + id(2)} {
		if limits, err := store.ParseLimits(wrong); err == nil {
			t.Errorf("%q is read as %v", wrong, limits)
		}
	}
}

// join makes bob a member of shop.
func (w *world) join(t *testing.T, role string, limits store.Limits) {
	t.Helper()
	w.write(t, func(ctx context.Context, tx store.Tx) error {
		return tx.InsertMembership(ctx, &store.Membership{
			ProjectID: w.shop.ID, UserID: w.bob.ID, Role: role, CreatedAt: 9, EnvironmentLimits: limits.String(),
		})
	})
}

func TestLimitsDecideWhatAMemberSees(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.join(t, "member", store.Limits{w.shopProd.ID: store.LimitNone, w.shopDev.ID: store.LimitRead})
		for _, s := range []store.Environment{w.shopDev, w.shopProd} {
			w.write(t, func(ctx context.Context, tx store.Tx) error {
				return tx.InsertSecrets(ctx, []store.Secret{secret(s, "A", "x")})
			})
		}
		look := func(how string, q store.Queries, limits store.Limits) {
			t.Helper()
			var visible []string
			for _, e := range []store.Environment{w.shopDev, w.shopProd} {
				role := map[store.Limit]string{"": "member", store.LimitRead: "viewer"}[limits[e.ID]]
				if role != "" {
					visible = append(visible, e.Slug)
				}
				for _, ref := range []string{e.ID, e.Slug} {
					view, err := q.EnvironmentFor(t.Context(), w.asBob, "shop", ref)
					if role == "" {
						isKind(t, how+e.Slug, err, fault.NotFound)
					} else {
						equal(t, how+e.Slug, must(view, err).Role, role)
					}
					view, _, err = q.SecretFor(t.Context(), w.asBob, w.shop.ID, ref, "A")
					if role == "" {
						isKind(t, how+"secret of "+e.Slug, err, fault.NotFound)
					} else {
						equal(t, how+"secret of "+e.Slug, must(view, err).Role, role)
					}
				}
			}
			rows := must(q.EnvironmentsOf(t.Context(), w.asBob, w.shop.ID))
			equal(t, how+"list", column(rows, func(e store.Environment) string { return e.Slug }), visible)
			equal(t, how+"ann's list", len(must(q.EnvironmentsOf(t.Context(), w.asAnn, w.shop.ID))), 2)
			equal(t, how+"role in the project", must(q.ProjectFor(t.Context(), w.asBob, "shop")).Role, "member")
		}
		for _, limits := range []store.Limits{
			{w.shopProd.ID: store.LimitNone, w.shopDev.ID: store.LimitRead},
			{w.shopProd.ID: store.LimitNone},
			{w.shopDev.ID: store.LimitRead},
			{w.labDev.ID: store.LimitNone}, // of an environment that is not here
			{},
		} {
			m := store.Membership{ProjectID: w.shop.ID, UserID: w.bob.ID, Role: "member", EnvironmentLimits: limits.String()}
			w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.UpdateMembership(ctx, &m) })
			look(limits.String()+": ", w.Queries, limits)
			w.write(t, func(_ context.Context, tx store.Tx) error {
				look("in a transaction, "+limits.String()+": ", tx.Queries, limits)
				return nil
			})
		}
		count, last, err := w.EnvironmentPlaces(t.Context(), w.shop.ID)
		equal(t, "environments", must(count, err), 2)
		equal(t, "the last one", last, 1)
	})
}

func TestMembers(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.join(t, "viewer", store.Limits{w.shopProd.ID: store.LimitNone})
		members := must(w.MembersOf(t.Context(), w.shop.ID))
		equal(t, "members", column(members, func(m store.Member) string { return m.Email + ":" + m.Role }), []string{"ann@example.com:owner", "bob@example.com:viewer"})
		bob := must(w.MemberOf(t.Context(), w.shop.ID, w.bob.ID))
		equal(t, "bob", *bob, members[1])
		equal(t, "bob", *bob, store.Member{
			Membership: store.Membership{ProjectID: w.shop.ID, UserID: w.bob.ID, Role: "viewer", CreatedAt: 9, EnvironmentLimits: "none:" + w.shopProd.ID},
			Email:      "bob@example.com", FirstName: "F", LastName: "L", IsActive: true,
		})
		_, err := w.MemberOf(t.Context(), w.lab.ID, w.ann.ID)
		isKind(t, "no member", err, fault.NotFound)

		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.UpdateMembership(ctx, &store.Membership{ProjectID: w.shop.ID, UserID: w.bob.ID, Role: "owner", CreatedAt: 77})
		})
		bob = must(w.MemberOf(t.Context(), w.shop.ID, w.bob.ID))
		equal(t, "bob's role and limits", bob.Role+bob.EnvironmentLimits, "owner")
		equal(t, "since", bob.CreatedAt, store.Micros(9))
		stranger := store.Membership{ProjectID: w.lab.ID, UserID: w.ann.ID, Role: "owner"}
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.UpdateMembership(ctx, &stranger) })
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.DeleteMembership(ctx, w.lab.ID, w.ann.ID) })
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteMembership(ctx, w.shop.ID, w.bob.ID) })
		equal(t, "members", len(must(w.MembersOf(t.Context(), w.shop.ID))), 1)
		equal(t, "members of lab", len(must(w.MembersOf(t.Context(), w.lab.ID))), 1)
	})
}

func TestOnlyActiveOwnersCount(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.join(t, "owner", nil)
		active := func(u store.User, is bool) {
			u.IsActive = is
			w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.UpdateUser(ctx, &u, "is_active") })
		}
		counts := func(what string, want bool) {
			t.Helper()
			w.write(t, func(ctx context.Context, tx store.Tx) error {
				has, err := tx.HasActiveOwner(ctx, w.shop.ID)
				equal(t, what, has, want)
				return err
			})
		}
		counts("two owners", true)
		active(w.ann, false)
		counts("one of them active", true)
		active(w.bob, false)
		counts("none of them active", false)
		active(w.bob, true)
		counts("the other active", true)
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.UpdateMembership(ctx, &store.Membership{ProjectID: w.shop.ID, UserID: w.bob.ID, Role: "admin"})
		})
		counts("an active admin", false)
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			owned, err := tx.OwnedProjects(ctx, w.bob.ID)
			equal(t, "what bob owns", column(owned, func(p store.Project) string { return p.Slug }), []string{"lab"})
			return err
		})
	})
}

func TestTheTokensThatSomebodyMade(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		made := func(n int, p *string, kind, by string) store.Token {
			return store.Token{ID: id(n), Digest: digest(n), Prefix: "hlp_", Name: id(n), ProjectID: p, Access: "read", CreatedAt: store.Micros(n), CreatedBy: store.Actor{Kind: kind, ID: by}}
		}
		mine := made(46, nil, "user", w.bob.ID)
		mine.UserID, mine.Access = &w.bob.ID, ""
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			for _, token := range []store.Token{
				made(42, &w.shop.ID, "user", w.bob.ID), made(41, &w.shop.ID, "user", w.bob.ID), made(43, &w.shop.ID, "user", w.ann.ID),
				made(44, &w.lab.ID, "user", w.bob.ID), made(45, &w.shop.ID, "system", w.bob.ID), mine,
			} {
				if err := tx.InsertToken(ctx, &token, nil); err != nil {
					return err
				}
			}
			return nil
		})
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			gone, err := tx.DeleteTokensMadeBy(ctx, w.shop.ID, w.bob.ID)
			equal(t, "revoked", column(gone, func(t store.Token) string { return t.ID }), []string{id(41), id(42)})
			return err
		})
		equal(t, "of shop", column(must(w.TokensOfProject(t.Context(), w.shop.ID)), func(t store.ServiceToken) string { return t.ID }), []string{id(31), id(43), id(45)})
		equal(t, "of lab", len(must(w.TokensOfProject(t.Context(), w.lab.ID))), 1)
		equal(t, "bob's own", len(must(w.TokensOfUser(t.Context(), w.bob.ID))), 1)
	})
}
