package store_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/heartlock/heartlock/migrations"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/store"
)

// eachEngine runs test against a fresh, empty database of either kind.
func eachEngine(t *testing.T, test func(t *testing.T, o store.Options)) {
	t.Helper()
	for _, engine := range []store.Engine{store.SQLite, store.PostgreSQL} {
		t.Run(engine.String(), func(t *testing.T) {
			t.Parallel()
			test(t, freshDatabase(t, engine))
		})
	}
}

// freshDatabase gives the options for an empty database, with a small schema of
// two steps.
func freshDatabase(t testing.TB, engine store.Engine) store.Options {
	t.Helper()
	o := store.Options{Engine: engine, ConnMaxAge: -1, Migrations: steps(t, step1, step2)}
	if engine == store.PostgreSQL {
		o.DSN = heartlocktest.Postgres(t)
	} else {
		o.Path = filepath.Join(t.TempDir(), "data", "db.sqlite3")
	}
	return o
}

func opened(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func migrated(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s := opened(t, o)
	if _, err := s.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

// step is a migration: up, down.
type step [2]string

var (
	step1 = step{
		`CREATE TABLE parents (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, UNIQUE (name));
		 CREATE TABLE counters (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL);
		 INSERT INTO counters VALUES (1, 0); INSERT INTO counters VALUES (2, 0);`,
		`DROP TABLE counters; DROP TABLE parents;`,
	}
	step2 = step{
		`CREATE TABLE children (
		   id BIGINT NOT NULL PRIMARY KEY, parent_id BIGINT NOT NULL REFERENCES parents (id) ON DELETE CASCADE,
		   key TEXT NOT NULL, UNIQUE (parent_id, key));
		 UPDATE counters SET n = n + 100 WHERE id = 2;`,
		`DROP TABLE children; UPDATE counters SET n = n - 100 WHERE id = 2;`,
	}
	step3 = step{
		`UPDATE counters SET n = n + 1000 WHERE id = 2;`,
		`UPDATE counters SET n = n - 1000 WHERE id = 2;`,
	}
)

// steps numbers migrations from 1.
func steps(t testing.TB, list ...step) []migrations.Migration {
	t.Helper()
	fsys := fstest.MapFS{}
	for i, s := range list {
		name := "x/000" + string(rune('1'+i)) + "_" + string(rune('a'+i))
		fsys[name+".up.sql"] = &fstest.MapFile{Data: []byte(s[0])}
		fsys[name+".down.sql"] = &fstest.MapFile{Data: []byte(s[1])}
	}
	result, err := migrations.From(fsys, "x")
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func exec(query string, args ...any) func(context.Context, store.Tx) error {
	return func(_ context.Context, tx store.Tx) error {
		for statement := range strings.SplitSeq(query, ";") {
			if _, err := tx.Exec(statement, args...); err != nil {
				return err
			}
		}
		return nil
	}
}

func mustWrite(t testing.TB, s *store.Store, query string, args ...any) {
	t.Helper()
	if err := s.Write(within(t, time.Minute), exec(query, args...)); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func mustInt(t testing.TB, q store.Queries, query string, want int) {
	t.Helper()
	if got, err := q.Int(query); err != nil || got != want {
		t.Errorf("%s = %d, %v, want %d", query, got, err, want)
	}
}

// within is a context that ends with the test or after d.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
