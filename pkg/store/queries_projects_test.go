package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestProjectsAreSeenByTheirOwnOnly(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, c := range []struct {
			who    string
			caller store.Caller
			ref    string
			role   string // "-": not found
		}{
			{"ann", w.asAnn, "shop", "owner"},
			{"ann by id", w.asAnn, w.shop.ID, "owner"},
			{"ann, foreign", w.asAnn, "lab", "-"},
			{"ann, foreign by id", w.asAnn, w.lab.ID, "-"},
			{"bob, foreign", w.asBob, "shop", "-"},
			{"token", w.asToken, "shop", ""},
			{"token by id", w.asToken, w.shop.ID, ""},
			{"token, foreign", w.asToken, "lab", "-"},
			{"personal token's id", store.Caller{TokenID: w.mine.ID}, "shop", "-"},
			{"nobody", store.Caller{}, "shop", "-"},
			{"a user's id as a token", store.Caller{TokenID: w.ann.ID}, "shop", "-"},
			{"unknown", w.asAnn, "nothing", "-"},
			{"SQL", w.asAnn, "' OR 1=1 --", "-"},
		} {
			view, err := w.ProjectFor(ctx, c.caller, c.ref)
			if c.role == "-" {
				isKind(t, c.who, err, fault.NotFound)
				continue
			}
			if err != nil || view.Role != c.role || view.ID != w.shop.ID || view.Description != "text" {
				t.Errorf("%s: %+v, %v", c.who, view, err)
			}
		}
		slugs := func(c store.Caller) []string {
			return column(must(w.Projects(ctx, c, "", 10)), func(v store.ProjectView) string { return v.Slug + ":" + v.Role })
		}
		equal(t, "ann's list", slugs(w.asAnn), []string{"shop:owner"})
		equal(t, "bob's list", slugs(w.asBob), []string{"lab:owner"})
		equal(t, "the token's list", slugs(w.asToken), []string{"shop:"})
		equal(t, "nobody's list", slugs(store.Caller{}), []string{})
	})
}

func TestProjectsComeInPages(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			for i, slug := range []string{"a-b", "a", "ab", "a1", "zz"} {
				p := project(50+i, slug)
				if err := tx.InsertProject(ctx, &p, &store.Membership{ProjectID: p.ID, UserID: w.ann.ID, Role: "viewer"}); err != nil {
					return err
				}
			}
			return nil
		})
		var seen []string
		for after := ""; ; {
			rows := must(w.Projects(t.Context(), w.asAnn, after, 2))
			if len(rows) == 0 {
				break
			}
			for _, r := range rows {
				seen = append(seen, r.Slug)
				after = r.Slug
			}
		}
		equal(t, "by bytes, on either engine", seen, []string{"a", "a-b", "a1", "ab", "shop", "zz"})
	})
}

func TestProjectChanges(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		twin := project(60, "shop")
		err := w.refusal(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertProject(ctx, &twin, &store.Membership{ProjectID: twin.ID, UserID: w.bob.ID, Role: "owner"})
		})
		if !store.IsDuplicate(err, "projects", "slug") {
			t.Errorf("the conflict does not name the slug: %v", fault.Detail(err))
		}
		w.refused(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertMembership(ctx, &store.Membership{ProjectID: w.shop.ID, UserID: w.ann.ID, Role: "viewer"})
		})
		if err := w.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
			return tx.InsertMembership(ctx, &store.Membership{ProjectID: w.shop.ID, UserID: w.bob.ID, Role: "Owner"})
		}); err == nil {
			t.Error("the database takes a role that does not exist")
		}
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertMembership(ctx, &store.Membership{ProjectID: w.shop.ID, UserID: w.bob.ID, Role: "viewer"})
		})
		equal(t, "bob's role", must(w.ProjectFor(t.Context(), w.asBob, "shop")).Role, "viewer")

		renamed := w.shop
		renamed.Slug, renamed.Name = "store", "not written"
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.UpdateProject(ctx, &renamed, "slug") })
		equal(t, "name", must(w.ProjectFor(t.Context(), w.asAnn, "store")).Name, w.shop.Name)
		renamed.Slug = "lab"
		w.refused(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error { return tx.UpdateProject(ctx, &renamed, "slug") })
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.UpdateProject(ctx, &twin, "name") })
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.DeleteProject(ctx, twin.ID) })
	})
}

// TestDeletingAProjectLeavesNothing looks for the project, its environments and
// its tokens in every column of every table.
func TestDeletingAProjectLeavesNothing(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		s := secret(w.shopDev, "A", "sealed-of-shop")
		other := secret(w.labDev, "A", "sealed-of-lab")
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			if err := tx.InsertSecrets(ctx, []store.Secret{s, other}); err != nil {
				return err
			}
			row, err := tx.Secret(ctx, w.shopDev.ID, "A")
			if err != nil {
				return err
			}
			next := *row
			next.Version++
			if err := tx.ReplaceSecrets(ctx, []store.SecretChange{{Old: *row, New: next}}); err != nil {
				return err
			}
			return tx.InsertAuditEvents(ctx, []store.AuditEvent{{Action: "x", ProjectID: w.shop.ID, Target: "shop"}})
		})
		before := w.dump(t)
		for _, table := range []string{"projects", "memberships", "environments", "secrets", "secret_versions", "tokens", "token_environments", "audit_events"} {
			if len(before[table]) == 0 {
				t.Errorf("%s is empty: the test shows nothing", table)
			}
		}
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.DeleteProject(ctx, w.shop.ID) })
		for table, rows := range w.dump(t) {
			for _, row := range rows {
				for _, mark := range []string{w.shop.ID, w.shopDev.ID, w.shopProd.ID, w.service.ID, "sealed-of-shop"} {
					if table != "audit_events" && strings.Contains(row, mark) {
						t.Errorf("%s still has a row with %s", table, mark)
					}
				}
			}
			if table == "audit_events" {
				equal(t, "audit trail", rows, before[table])
			}
		}
		mustInt(t, w.Queries, "SELECT count(*) FROM secret_versions", 0)
		mustInt(t, w.Queries, "SELECT count(*) FROM secrets", 1)
		mustInt(t, w.Queries, "SELECT count(*) FROM tokens", 1)
	})
}
