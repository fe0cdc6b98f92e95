package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

func TestEnvironmentsAreSeenByTheirOwnOnly(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			who          string
			caller       store.Caller
			project, ref string
			found        bool
		}{
			{"ann", w.asAnn, "shop", "development", true},
			{"ann by ids", w.asAnn, w.shop.ID, w.shopDev.ID, true},
			{"ann, mixed", w.asAnn, "shop", w.shopDev.ID, true},
			{"ann, mixed the other way", w.asAnn, w.shop.ID, "development", true},
			{"ann, foreign", w.asAnn, "lab", "development", false},
			{"ann, foreign child under her project", w.asAnn, "shop", w.labDev.ID, false},
			{"ann, her child under a foreign project", w.asAnn, "lab", w.shopDev.ID, false},
			{"bob, foreign by ids", w.asBob, w.shop.ID, w.shopDev.ID, false},
			{"token", w.asToken, "shop", "development", true},
			{"token by ids", w.asToken, w.shop.ID, w.shopDev.ID, true},
			{"token, environment of its project that is not its own", w.asToken, "shop", "production", false},
			{"the same by ids", w.asToken, w.shop.ID, w.shopProd.ID, false},
			{"token, foreign", w.asToken, "lab", "development", false},
			{"personal token's id", store.Caller{TokenID: w.mine.ID}, "shop", "development", false},
			{"nobody", store.Caller{}, "shop", "development", false},
			{"unknown", w.asAnn, "shop", "x", false},
		} {
			look := func(how string, q store.Queries) {
				view, err := q.EnvironmentFor(t.Context(), c.caller, c.project, c.ref)
				if !c.found {
					isKind(t, c.who+how, err, fault.NotFound)
					return
				}
				want := store.EnvironmentView{Environment: w.shopDev, ProjectSlug: "shop", Role: "owner"}
				if c.caller.TokenID != "" {
					want.Role, want.Access = "", "read"
				}
				equal(t, c.who+how, *must(view, err), want)
			}
			look("", w.Queries)
			w.write(t, func(_ context.Context, tx store.Tx) error {
				look(", in a transaction", tx.Queries)
				return nil
			})
		}
		slugs := func(c store.Caller, p store.Project) []string {
			return column(must(w.EnvironmentsOf(t.Context(), c, p.ID)), func(e store.Environment) string { return e.Slug })
		}
		equal(t, "ann's list", slugs(w.asAnn, w.shop), []string{"development", "production"})
		equal(t, "the token's list", slugs(w.asToken, w.shop), []string{"development"})
		both := must(w.EnvironmentsIn(t.Context(), w.asAnn, []string{w.shop.ID, w.lab.ID}))
		equal(t, "ann's list of both projects", column(both, func(e store.Environment) string { return e.ProjectID }), []string{w.shop.ID, w.shop.ID})
		equal(t, "the list of no project", len(must(w.EnvironmentsIn(t.Context(), w.asAnn, nil))), 0)
		equal(t, "the token's list of another project", slugs(w.asToken, w.lab), []string{})
	})
}

func TestEnvironmentChanges(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		twin := environment(70, w.shop, "development", 5)
		err := w.refusal(t, fault.Conflict, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertEnvironments(ctx, []store.Environment{twin})
		})
		if !store.IsDuplicate(err, "environments", "project_id", "slug") {
			t.Errorf("the conflict does not name the slug: %v", fault.Detail(err))
		}
		last := w.shopDev
		last.Position, last.Name, last.Revision = 9, "not written", 100
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.UpdateEnvironment(ctx, &last, "position") })
		rows := must(w.EnvironmentsOf(t.Context(), w.asAnn, w.shop.ID))
		last.Name, last.Revision = w.shopDev.Name, 0
		equal(t, "in their order", rows, []store.Environment{w.shopProd, last})
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.UpdateEnvironment(ctx, &twin, "name") })

		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.DeleteEnvironment(ctx, w.lab.ID, w.shopDev.ID) })
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			if err := tx.InsertSecrets(ctx, []store.Secret{secret(w.shopDev, "A", "x")}); err != nil {
				return err
			}
			return tx.DeleteEnvironment(ctx, w.shop.ID, w.shopDev.ID)
		})
		mustInt(t, w.Queries, "SELECT count(*) FROM secrets", 0)
		mustInt(t, w.Queries, "SELECT count(*) FROM token_environments", 0)
	})
}

func TestAdvanceEnvironmentCounts(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		for i, added := range []int{3, 0, -2} {
			w.write(t, func(ctx context.Context, tx store.Tx) error {
				revision, err := tx.AdvanceEnvironment(ctx, w.shopDev.ID, added, store.Micros(100+i))
				equal(t, "revision", revision, int64(i+1))
				return err
			})
		}
		e := must(w.EnvironmentFor(t.Context(), w.asAnn, "shop", "development"))
		want := w.shopDev
		want.Revision, want.SecretCount, want.UpdatedAt = 3, 1, 102
		equal(t, "environment", e.Environment, want)
		equal(t, "its neighbour", must(w.EnvironmentFor(t.Context(), w.asAnn, "shop", "production")).Environment, w.shopProd)
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.AdvanceEnvironment(ctx, id(99), 1, 0)
			return err
		})
	})
}

// TestFoundRowsAreLocked holds a row in one transaction and sees that another
// waits for it until then: it would time out if it did not get it at all, and
// would read an old revision if it did not wait.
func TestFoundRowsAreLocked(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		const writers, each = 8, 10
		failed := make(chan error, writers)
		for range writers {
			go func() {
				var err error
				for range each {
					err = errors.Join(err, w.Write(within(t, time.Minute), func(ctx context.Context, tx store.Tx) error {
						view, err := tx.EnvironmentFor(ctx, w.asAnn, "shop", "development")
						if err != nil {
							return err
						}
						project, err := tx.ProjectFor(ctx, w.asAnn, "shop")
						if err != nil {
							return err
						}
						view.Position++ // read, decide, write: lost if two do it at once
						project.Description += "x"
						return errors.Join(
							tx.UpdateEnvironment(ctx, &view.Environment, "position"),
							tx.UpdateProject(ctx, &project.Project, "description"))
					}))
				}
				failed <- err
			}()
		}
		for range writers {
			if err := <-failed; err != nil {
				t.Error(fault.Detail(err))
			}
		}
		equal(t, "position", must(w.EnvironmentFor(t.Context(), w.asAnn, "shop", "development")).Position, writers*each)
		equal(t, "length of the description", len(must(w.ProjectFor(t.Context(), w.asAnn, "shop")).Description), len("text")+writers*each)
	})
}
