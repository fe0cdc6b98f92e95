package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// The tests of the queries all start from the same small world, on either
// engine, with the schema of this binary:
//
//	ann   owns   shop   with development, production
//	bob   owns   lab    with development
//	shop has a service token for development, ann a personal token
//	ann has a session
type world struct {
	*store.Store
	options       store.Options
	ann, bob      store.User
	shop, lab     store.Project
	shopDev       store.Environment
	shopProd      store.Environment
	labDev        store.Environment
	service, mine store.Token
	asAnn, asBob  store.Caller
	asToken       store.Caller
}

// eachWorld runs test in a world of its own on either engine.
func eachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	eachEngine(t, func(t *testing.T, o store.Options) {
		o.Migrations = nil // those of this binary
		w := newWorld(t, migrated(t, o))
		w.options = o
		test(t, w)
	})
}

func newWorld(t *testing.T, s *store.Store) *world {
	t.Helper()
	w := &world{
		Store: s, ann: user(1, "ann@example.com"), bob: user(2, "bob@example.com"),
		shop: project(11, "shop"), lab: project(12, "lab"),
	}
	w.shopDev = environment(21, w.shop, "development", 0)
	w.shopProd = environment(22, w.shop, "production", 1)
	w.labDev = environment(23, w.lab, "development", 0)
	w.service = store.Token{ID: id(31), Digest: digest(31), Prefix: "hlp_31", Name: "ci", ProjectID: &w.shop.ID, Access: "read", CreatedAt: 5}
	w.mine = store.Token{ID: id(32), Digest: digest(32), Prefix: "hlp_32", Name: "laptop", UserID: &w.ann.ID, CreatedAt: 6}
	w.asAnn, w.asBob = store.Caller{UserID: w.ann.ID}, store.Caller{UserID: w.bob.ID}
	w.asToken = store.Caller{TokenID: w.service.ID}
	w.write(t, func(ctx context.Context, tx store.Tx) error {
		return errors.Join(
			tx.InsertUser(ctx, &w.ann), tx.InsertUser(ctx, &w.bob),
			tx.InsertProject(ctx, &w.shop, &store.Membership{ProjectID: w.shop.ID, UserID: w.ann.ID, Role: "owner", CreatedAt: 1}),
			tx.InsertProject(ctx, &w.lab, &store.Membership{ProjectID: w.lab.ID, UserID: w.bob.ID, Role: "owner", CreatedAt: 1}),
			tx.InsertEnvironments(ctx, []store.Environment{w.shopDev, w.shopProd, w.labDev}),
			tx.InsertToken(ctx, &w.service, []string{w.shopDev.ID}),
			tx.InsertToken(ctx, &w.mine, nil),
		)
	})
	return w
}

func (w *world) write(t *testing.T, do func(context.Context, store.Tx) error) {
	t.Helper()
	if err := w.Write(within(t, time.Minute), do); err != nil {
		t.Fatal(fault.Detail(err))
	}
}

// refused runs do in a transaction, which must fail with the kind.
func (w *world) refused(t *testing.T, kind fault.Kind, do func(context.Context, store.Tx) error) {
	t.Helper()
	_ = w.refusal(t, kind, do)
}

// refusal is refused for who wants to see the error.
func (w *world) refusal(t *testing.T, kind fault.Kind, do func(context.Context, store.Tx) error) error {
	t.Helper()
	err := w.Write(within(t, time.Minute), do)
	isKind(t, "transaction", err, kind)
	return err
}

// dump is every row of every table as text, in an order of its own.
func (w *world) dump(t *testing.T) map[string][]string {
	t.Helper()
	tables := map[string][]string{}
	for _, table := range []string{
		"instance", "encryption_keys", "users", "sessions", "projects", "memberships", "environments", "secrets",
		"secret_versions", "tokens", "token_environments", "audit_events", "idempotency_keys",
	} {
		var rows []map[string]any
		if err := w.Bun().NewSelect().TableExpr(table).Scan(t.Context(), &rows); err != nil {
			t.Fatal(err)
		}
		tables[table] = []string{}
		for _, row := range rows {
			tables[table] = append(tables[table], fmt.Sprint(row))
		}
		slices.Sort(tables[table])
	}
	return tables
}

func id(n int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", n) }

func digest(n int) []byte { return fmt.Appendf(nil, "%032d", n) }

func user(n int, email string) store.User {
	return store.User{
		ID: id(n), Email: email, FirstName: "F", LastName: "L", PasswordHash: "hash", IsActive: true, IsSuperuser: n == 1,
		CreatedAt: 1, UpdatedAt: 2,
	}
}

func project(n int, slug string) store.Project {
	return store.Project{ID: id(n), Slug: slug, Name: "Name of " + slug, Description: "text", CreatedAt: 3, UpdatedAt: 4}
}

func environment(n int, p store.Project, slug string, position int) store.Environment {
	return store.Environment{ID: id(n), ProjectID: p.ID, Slug: slug, Name: slug, Position: position, CreatedAt: 7, UpdatedAt: 8}
}

// secret is version 1 of a secret.
func secret(e store.Environment, key, sealed string) store.Secret {
	return store.Secret{
		EnvironmentID: e.ID, Key: key, Version: 1, Comment: "c", Sealed: &sealed, KeyFingerprint: "f", Revision: 1,
		CreatedAt: 10, UpdatedAt: 10, UpdatedBy: store.Actor{Kind: "user", ID: id(1), Name: "ann@example.com"},
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func isKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want %q", what, err, kind.Error())
	}
}

// column is a list reduced to one of its fields.
func column[T any](rows []T, field func(T) string) []string {
	texts := make([]string, len(rows))
	for i, row := range rows {
		texts[i] = field(row)
	}
	return texts
}

// must is for what can not fail unless the world is broken.
func must[T any](value T, err error) T {
	if err != nil {
		panic(fault.Detail(err))
	}
	return value
}
