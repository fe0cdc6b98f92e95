package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// live makes a life of two secrets in shop's development, one change a revision,
// at the time of ten times its number:
//
//	1 A=a1   2 B=b1   3 A=a2   4 A becomes C   5 B deleted   6 B=b3   7 C=c4
//
// and one secret in another environment.
func (w *world) live(t *testing.T) {
	t.Helper()
	w.write(t, func(ctx context.Context, tx store.Tx) error {
		a, b, other := secret(w.shopDev, "A", "a1"), secret(w.shopDev, "B", "b1"), secret(w.labDev, "A", "other")
		b.Revision, b.CreatedAt, b.UpdatedAt = 2, 20, 20
		return tx.InsertSecrets(ctx, []store.Secret{a, b, other})
	})
	revision := int64(2)
	change := func(key string, how func(*store.Secret)) {
		t.Helper()
		revision++
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			found, err := tx.SecretsByKey(ctx, w.shopDev.ID, []string{key})
			if err != nil {
				return err
			}
			changed := *found[key]
			changed.Version++
			changed.Revision, changed.UpdatedAt = revision, store.Micros(10*revision)
			how(&changed)
			return tx.ReplaceSecrets(ctx, []store.SecretChange{{Old: *found[key], New: changed}})
		})
	}
	change("A", seal("a2"))
	change("A", func(s *store.Secret) { s.Key = "C" })
	change("B", remove)
	change("B", func(s *store.Secret) { seal("b3")(s); s.CreatedAt = s.UpdatedAt })
	change("C", seal("c4"))
}

func shown(secrets []store.Secret) (texts []string) {
	for _, s := range secrets {
		texts = append(texts, fmt.Sprintf("%s=%s v%d r%d from %d", s.Key, *s.Sealed, s.Version, s.Revision, s.CreatedAt))
	}
	return texts
}

var livedStates = [][]string{
	nil,
	{"A=a1 v1 r1 from 10"},
	{"A=a1 v1 r1 from 10", "B=b1 v1 r2 from 20"},
	{"A=a2 v2 r3 from 10", "B=b1 v1 r2 from 20"},
	{"B=b1 v1 r2 from 20", "C=a2 v3 r4 from 10"},
	{"C=a2 v3 r4 from 10"},
	{"B=b3 v3 r6 from 60", "C=a2 v3 r4 from 10"},
	{"B=b3 v3 r6 from 60", "C=c4 v4 r7 from 10"},
}

func TestStatesAtARevisionAndAtATime(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.live(t)
		for revision, want := range livedStates {
			got := must(w.SecretsAt(t.Context(), w.shopDev.ID, int64(revision)))
			equal(t, fmt.Sprintf("revision %d", revision), shown(got), want)
			for at, want := range map[int]int{10*revision - 1: revision - 1, 10 * revision: revision, 10*revision + 9: revision} {
				equal(t, fmt.Sprintf("revision at %d", at), must(w.RevisionAt(t.Context(), w.shopDev.ID, store.Micros(at))), int64(max(want, 0)))
			}
		}
		w.replace(t, w.shopDev, "B", func(s *store.Secret) { remove(s); s.Revision, s.UpdatedAt = 8, 80 })
		w.write(t, func(ctx context.Context, tx store.Tx) error { // a third life
			found, err := tx.SecretsByKey(ctx, w.shopDev.ID, []string{"B"})
			if err != nil {
				return err
			}
			again := *found["B"]
			again.Version, again.Revision, again.CreatedAt, again.UpdatedAt = again.Version+1, 9, 90, 90
			seal("b5")(&again)
			return tx.ReplaceSecrets(ctx, []store.SecretChange{{Old: *found["B"], New: again}})
		})
		for revision, want := range livedStates {
			got := must(w.SecretsAt(t.Context(), w.shopDev.ID, int64(revision)))
			equal(t, fmt.Sprintf("revision %d, after a third life of B", revision), shown(got), want)
		}
		equal(t, "of another environment", len(must(w.SecretsAt(t.Context(), w.shopProd.ID, 7))), 0)
		equal(t, "of another environment", must(w.RevisionAt(t.Context(), w.shopProd.ID, 1000)), int64(0))
	})
}

func TestChangesAndDeletedSecrets(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.live(t)
		changes := must(w.ChangesBetween(t.Context(), w.shopDev.ID, 3, 7, 100))
		var got []string
		for _, c := range changes {
			got = append(got, fmt.Sprintf("r%d %s has value %v, was %q %v %v", c.Revision, c.Key, c.Sealed != nil, c.FormerKey, c.HasFormer, c.FormerHadText))
		}
		equal(t, "changes", got, []string{
			`r6 B has value true, was "B" true false`, `r5 B has value false, was "B" true true`,
			`r4 C has value true, was "A" true true`, `r3 A has value true, was "A" true true`,
		})
		equal(t, "changes within a limit", len(must(w.ChangesBetween(t.Context(), w.shopDev.ID, 1, 8, 2))), 2)
		equal(t, "deleted", len(must(w.DeletedSecrets(t.Context(), w.shopDev.ID, 10))), 0)
		w.replace(t, w.shopDev, "C", func(s *store.Secret) { remove(s); s.Revision = 8 })
		deleted := must(w.DeletedSecrets(t.Context(), w.shopDev.ID, 10))
		equal(t, "deleted", column(deleted, func(s store.Secret) string { return s.Key }), []string{"C"})
		equal(t, "deleted elsewhere", len(must(w.DeletedSecrets(t.Context(), w.labDev.ID, 10))), 0)
		w.write(t, func(ctx context.Context, tx store.Tx) error { // another secret has the key now
			return tx.InsertSecrets(ctx, []store.Secret{secret(w.shopDev, "C", "new")})
		})
		equal(t, "deleted, with the key live again", len(must(w.DeletedSecrets(t.Context(), w.shopDev.ID, 10))), 0)
	})
}

func TestFormerVersions(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.live(t)
		c := must(w.Secret(t.Context(), w.shopDev.ID, "C"))
		numbers := func(rows []store.SecretVersion) (n []int64) {
			for _, v := range rows {
				n = append(n, v.Version)
			}
			return n
		}
		equal(t, "all", numbers(must(w.FormerVersions(t.Context(), c.ID, c.Version, 10))), []int64{3, 2, 1})
		equal(t, "a page", numbers(must(w.FormerVersions(t.Context(), c.ID, 3, 1))), []int64{2})
		equal(t, "one", *must(w.FormerVersion(t.Context(), c.ID, 2)).Sealed, "a2")
		_, err := w.FormerVersion(t.Context(), c.ID, 4)
		isKind(t, "the present one", err, fault.NotFound)
	})
}

// What has had its time goes from the old end, with nothing said to be told that
// can not be; the newest version always stays.
func TestOutdatedVersions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule    store.RetentionRule
		n, from int64
		kept    []string // key and version
	}{
		"nothing":         {store.RetentionRule{Keep: -1}, 0, 0, []string{"A1", "A2", "B1", "B2", "C3"}},
		"keep two":        {store.RetentionRule{Keep: 2}, 1, 3, []string{"A2", "B1", "B2", "C3"}},
		"keep one":        {store.RetentionRule{Keep: 1}, 3, 5, []string{"B2", "C3"}},
		"keep none":       {store.RetentionRule{Keep: 0}, 5, 7, nil},
		"before 31":       {store.RetentionRule{Keep: -1, Before: 31}, 1, 3, []string{"A2", "B1", "B2", "C3"}},
		"exactly then":    {store.RetentionRule{Keep: -1, Before: 30}, 0, 0, []string{"A1", "A2", "B1", "B2", "C3"}},
		"before 61":       {store.RetentionRule{Keep: -1, Before: 61}, 4, 6, []string{"C3"}},
		"long before now": {store.RetentionRule{Keep: -1, Before: 1000}, 5, 7, nil},
		"both":            {store.RetentionRule{Keep: 1, Before: 51}, 3, 5, []string{"B2", "C3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachWorld(t, func(t *testing.T, w *world) {
				w.live(t)
				outdated := must(w.Outdated(t.Context(), w.shopDev.ID, c.rule))
				var n, from, removed int64
				for _, o := range outdated {
					n, from = n+o.Versions, max(from, o.Revision)
				}
				equal(t, "number", []int64{n, from}, []int64{c.n, c.from})
				w.write(t, func(ctx context.Context, tx store.Tx) error {
					if err := tx.LockEnvironment(ctx, w.shopDev.ID); err != nil {
						return err
					}
					if err := tx.RaiseHistoryFrom(ctx, w.shopDev.ID, from); err != nil {
						return err
					}
					for _, o := range outdated {
						if n, err := tx.DeleteOutdated(ctx, w.labDev.ID, o, 1); err != nil || n != 0 {
							return fmt.Errorf("removed %d of another environment: %w", n, err)
						}
						for {
							n, err := tx.DeleteOutdated(ctx, w.shopDev.ID, o, 1)
							if err != nil {
								return err
							}
							if removed += n; n == 0 {
								break
							}
						}
					}
					return nil
				})
				equal(t, "removed", removed, c.n)
				var kept []struct {
					Key     string
					Version int64
				}
				must(0, w.Bun().NewSelect().TableExpr("secret_versions").ColumnExpr("key, version").OrderExpr("key, version").Scan(t.Context(), &kept))
				var got []string
				for _, v := range kept {
					got = append(got, fmt.Sprint(v.Key, v.Version))
				}
				equal(t, "kept", got, c.kept)
				equal(t, "history", must(w.HistoryFrom(t.Context(), w.shopDev.ID)), c.from)
				for revision := c.from; revision < int64(len(livedStates)); revision++ {
					state := shown(must(w.SecretsAt(t.Context(), w.shopDev.ID, revision)))
					for i := range state { // when one was created may be gone with its versions
						state[i], _, _ = strings.Cut(state[i], " from")
					}
					want := slices.Clone(livedStates[revision])
					for i := range want {
						want[i], _, _ = strings.Cut(want[i], " from")
					}
					equal(t, fmt.Sprintf("revision %d", revision), state, want)
				}
			})
		})
	}
}

func TestHistoryFromOnlyRises(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			for _, revision := range []int64{5, 3} {
				if err := tx.RaiseHistoryFrom(ctx, w.shopDev.ID, revision); err != nil {
					return err
				}
			}
			return nil
		})
		equal(t, "of it", must(w.HistoryFrom(t.Context(), w.shopDev.ID)), int64(5))
		equal(t, "of another", must(w.HistoryFrom(t.Context(), w.shopProd.ID)), int64(0))
		w.refused(t, fault.NotFound, func(ctx context.Context, tx store.Tx) error { return tx.LockEnvironment(ctx, id(99)) })
	})
}

func TestEnvironmentsAreWalkedInPages(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		var slugs []string
		for after := ""; ; {
			page := must(w.EnvironmentsAfter(t.Context(), after, 2))
			for _, e := range page {
				slugs = append(slugs, e.ProjectID[len(e.ProjectID)-2:]+" "+e.Slug)
				after = e.ID
			}
			if len(page) < 2 {
				break
			}
		}
		equal(t, "environments", slugs, []string{"11 development", "11 production", "12 development"})
	})
}

// No query of the history reads a whole table: it starts with an environment or a
// secret.
func TestHistoryQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		if w.Engine() != store.SQLite {
			return // its planner goes by statistics, which an empty database has not
		}
		for name, text := range w.HistoryQueries() {
			args := make([]any, strings.Count(text, "?"))
			for i := range args {
				args[i] = 1
			}
			rows := must(w.ReaderPool().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...))
			for rows.Next() {
				var n1, n2, n3 int
				var step string
				must(0, rows.Scan(&n1, &n2, &n3, &step))
				table, scans := strings.CutPrefix(step, "SCAN ")
				parts := []string{"s", "b", "o", "x"} // of the query itself
				if name == "deletedSecrets" {
					parts = []string{"n"}
				}
				isPart := slices.Contains(parts, table) || strings.HasPrefix(table, "(subquery")
				if scans && !isPart && !strings.HasPrefix(table, "CONSTANT") {
					t.Errorf("%s reads a whole table: %s", name, step)
				}
			}
			must(0, errors.Join(rows.Err(), rows.Close()))
		}
	})
}
