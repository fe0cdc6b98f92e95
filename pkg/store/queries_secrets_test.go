package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// replace writes what change makes of the newest row with this key.
func (w *world) replace(t *testing.T, e store.Environment, key string, change func(*store.Secret)) {
	t.Helper()
	w.write(t, func(ctx context.Context, tx store.Tx) error {
		found, err := tx.SecretsByKey(ctx, e.ID, []string{key})
		if err != nil || found[key] == nil {
			return errors.Join(err, fmt.Errorf("no row %s", key))
		}
		next := *found[key]
		next.Version, next.Revision = next.Version+1, next.Revision+1
		change(&next)
		return tx.ReplaceSecrets(ctx, []store.SecretChange{{Old: *found[key], New: next}})
	})
}

func seal(text string) func(*store.Secret) { return func(s *store.Secret) { s.Sealed = &text } }

func remove(s *store.Secret) { s.Sealed, s.KeyFingerprint = nil, "" }

func TestSecretsBelongToTheirEnvironment(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b := secret(w.shopDev, "A", "a"), secret(w.shopDev, "B", "")
		foreign := secret(w.labDev, "A", "foreign")
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertSecrets(ctx, []store.Secret{b, a, foreign})
		})

		got := must(w.Secret(ctx, w.shopDev.ID, "A"))
		a.ID = got.ID
		equal(t, "the whole row", *got, a)
		equal(t, "the other one's", *must(w.Secret(ctx, w.labDev.ID, "A")).Sealed, "foreign")
		equal(t, "an empty token is not a deleted secret", *must(w.Secret(ctx, w.shopDev.ID, "B")).Sealed, "")
		for _, key := range []string{"C", "a", "A ", ""} {
			_, err := w.Secret(ctx, w.shopDev.ID, key)
			isKind(t, fmt.Sprintf("key %q", key), err, fault.NotFound)
		}
		_, err := w.Secret(ctx, w.shopProd.ID, "A")
		isKind(t, "in another environment", err, fault.NotFound)

		e := w.shopDev
		equal(t, "list", column(must(w.SecretsOf(ctx, &e)), func(s store.Secret) string { return s.Key + "=" + *s.Sealed }), []string{"A=a", "B="})
		found := must(w.SecretsByKey(ctx, w.shopDev.ID, []string{"A", "C"}))
		equal(t, "by key", len(found), 1)
		equal(t, "by key", *found["A"], a)
		equal(t, "by no key", len(must(w.SecretsByKey(ctx, w.shopDev.ID, nil))), 0)
		foreignKeys := must(w.SecretsByKey(ctx, w.shopProd.ID, []string{"A", "B"}))
		equal(t, "by key in another environment", len(foreignKeys), 0)
	})
}

func TestOnlyOneLiveSecretHasAKey(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		insert := func(ctx context.Context, tx store.Tx) error {
			return tx.InsertSecrets(ctx, []store.Secret{secret(w.shopDev, "A", "x")})
		}
		w.write(t, insert)
		err := w.refusal(t, fault.Conflict, insert)
		if !store.IsDuplicate(err, "secrets", "environment_id", "key") {
			t.Errorf("the conflict does not name the key: %v", fault.Detail(err))
		}
		w.replace(t, w.shopDev, "A", remove)
		w.write(t, insert) // beside the deleted one
		w.replace(t, w.shopDev, "A", remove)
		w.write(t, insert)
		mustInt(t, w.Queries, "SELECT count(*) FROM secrets WHERE key = 'A'", 3)
		twin := secret(w.shopDev, "B", "x")
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.InsertSecrets(ctx, []store.Secret{twin}) })
		err = w.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
			row, err := tx.Secret(ctx, w.shopDev.ID, "B")
			if err != nil {
				return err
			}
			next := *row
			next.Key, next.Version = "A", 2
			return tx.ReplaceSecrets(ctx, []store.SecretChange{{Old: *row, New: next}})
		})
		isKind(t, "to rename onto a live secret", err, fault.Conflict)
	})
}

func TestEveryVersionIsKept(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertSecrets(ctx, []store.Secret{secret(w.shopDev, "A", "one")})
		})
		first := *must(w.Secret(t.Context(), w.shopDev.ID, "A"))
		w.replace(t, w.shopDev, "A", func(s *store.Secret) {
			seal("two")(s)
			s.Comment, s.KeyFingerprint, s.UpdatedAt, s.UpdatedBy = "c2", "f2", 20, store.Actor{Kind: "service_token", ID: id(31), Name: "ci"}
		})
		w.replace(t, w.shopDev, "A", func(s *store.Secret) { s.Key = "B" })
		w.replace(t, w.shopDev, "B", remove)
		w.replace(t, w.shopDev, "B", seal("five"))

		var kept []store.SecretVersion
		if err := w.Bun().NewSelect().Model(&kept).OrderExpr("v.version").Scan(t.Context()); err != nil {
			t.Fatal(err)
		}
		two := "two"
		one := store.SecretVersion{
			SecretID: first.ID, Version: 1, Key: "A", Comment: "c", Sealed: first.Sealed, KeyFingerprint: "f", Revision: 1,
			UpdatedAt: 10, UpdatedBy: first.UpdatedBy,
		}
		second := store.SecretVersion{
			SecretID: first.ID, Version: 2, Key: "A", Comment: "c2", Sealed: &two, KeyFingerprint: "f2", Revision: 2,
			UpdatedAt: 20, UpdatedBy: store.Actor{Kind: "service_token", ID: id(31), Name: "ci"},
		}
		third := second
		third.Version, third.Key, third.Revision = 3, "B", 3
		fourth := third
		fourth.Version, fourth.Sealed, fourth.KeyFingerprint, fourth.Revision = 4, nil, "", 4
		equal(t, "former versions", kept, []store.SecretVersion{one, second, third, fourth})
		now := must(w.Secret(t.Context(), w.shopDev.ID, "B"))
		equal(t, "numbering goes on after a deletion", []any{now.ID, now.Version, now.CreatedAt}, []any{first.ID, int64(5), store.Micros(10)})
	})
}

// TestADeletedSecretIsFoundByItsLastKey has two deleted secrets with one key,
// the one that was made first deleted last.
func TestADeletedSecretIsFoundByItsLastKey(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertSecrets(ctx, []store.Secret{secret(w.shopDev, "OLDER", "o"), secret(w.shopDev, "A", "a")})
		})
		older := must(w.Secret(t.Context(), w.shopDev.ID, "OLDER")).ID
		w.replace(t, w.shopDev, "A", func(s *store.Secret) { remove(s); s.Revision = 2 })
		w.replace(t, w.shopDev, "OLDER", func(s *store.Secret) { s.Key, s.Revision = "A", 3 })
		equal(t, "the live one wins", must(w.SecretsByKey(t.Context(), w.shopDev.ID, []string{"A"}))["A"].ID, older)
		w.replace(t, w.shopDev, "A", func(s *store.Secret) { remove(s); s.Revision = 4 })
		equal(t, "deleted last", must(w.SecretsByKey(t.Context(), w.shopDev.ID, []string{"A"}))["A"].ID, older)
		_, err := w.Secret(t.Context(), w.shopDev.ID, "A")
		isKind(t, "a deleted secret", err, fault.NotFound)
		e := w.shopDev
		equal(t, "list without deleted ones", len(must(w.SecretsOf(t.Context(), &e))), 0)
	})
}

func TestReplaceSecretsRefusesAnotherVersion(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertSecrets(ctx, []store.Secret{secret(w.shopDev, "A", "one")})
		})
		stale := *must(w.Secret(t.Context(), w.shopDev.ID, "A"))
		w.replace(t, w.shopDev, "A", seal("two"))
		before := w.dump(t)
		mine := stale
		mine.Version = 2
		if err := w.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
			return tx.ReplaceSecrets(ctx, []store.SecretChange{{Old: stale, New: mine}})
		}); err == nil {
			t.Error("a change of a version that has passed was written")
		}
		equal(t, "database", w.dump(t), before)
	})
}

func TestSecretsOfBringsTheRevisionOfTheRows(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		const n = 1201 // more than one INSERT
		rows := make([]store.Secret, n)
		for i := range rows {
			rows[i] = secret(w.shopDev, fmt.Sprintf("K%04d", n-i), fmt.Sprint(i))
		}
		view := must(w.EnvironmentFor(t.Context(), w.asAnn, "shop", "development"))
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			if err := tx.InsertSecrets(ctx, rows); err != nil {
				return err
			}
			_, err := tx.AdvanceEnvironment(ctx, w.shopDev.ID, n, 50)
			return err
		})
		got := must(w.SecretsOf(t.Context(), &view.Environment))
		equal(t, "number", len(got), n)
		equal(t, "revision, read before the change", view.Revision, int64(1))
		if !slices.IsSortedFunc(got, func(a, b store.Secret) int { return slices.Compare([]byte(a.Key), []byte(b.Key)) }) {
			t.Error("the list is not in the order of the keys")
		}
	})
}
