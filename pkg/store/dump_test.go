package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// TestTheListOfTablesIsTheSchema fails when a migration adds, changes or removes
// a table or a column that the list of the backups does not know.
func TestTheListOfTablesIsTheSchema(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, o store.Options) {
		o.Migrations = nil
		s := migrated(t, o)
		want := map[string]bool{}
		for name, why := range store.NotDumped() {
			want[name] = why != ""
		}
		for _, table := range store.DumpTables() {
			want[table.Name] = true
			equal(t, "columns of "+table.Name, table.Columns, schemaOf(t, s, table.Name))
		}
		got := map[string]bool{}
		for _, name := range tableNames(t, s) {
			got[name] = true
		}
		equal(t, "tables: give a new one its place in dumpTables or notDumped", got, want)
	})
}

func tableNames(t *testing.T, s *store.Store) (names []string) {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	if s.Engine() == store.PostgreSQL {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
	}
	rows, err := s.ReaderPool().QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

// schemaOf is a table's columns as the engine tells them, in its order.
func schemaOf(t *testing.T, s *store.Store, table string) (list []store.Column) {
	t.Helper()
	query := "SELECT name, type FROM pragma_table_info(?) ORDER BY cid"
	if s.Engine() == store.PostgreSQL {
		query = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = $1 AND table_schema = current_schema() ORDER BY ordinal_position"
	}
	kinds := map[string]store.ColumnKind{
		"TEXT": store.TextColumn, "INTEGER": store.IntColumn, "BLOB": store.BytesColumn,
		"text": store.TextColumn, "bigint": store.IntColumn, "boolean": store.BoolColumn, "bytea": store.BytesColumn,
	}
	rows, err := s.ReaderPool().QueryContext(t.Context(), query, table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			t.Fatal(err)
		}
		column := store.Column{Name: name, Kind: kinds[kind]}
		if s.Engine() == store.SQLite && len(name) > 3 && name[:3] == "is_" { // it has no truth values
			column.Kind = store.BoolColumn
		}
		list = append(list, column)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// dumped is every row of every table that is backed up.
func dumped(t *testing.T, s *store.Store) map[string][][]any {
	t.Helper()
	all := map[string][][]any{}
	err := s.Snapshot(t.Context(), func(ctx context.Context, q store.Queries) error {
		if err := q.BeginDump(ctx); err != nil {
			return err
		}
		for _, table := range store.DumpTables() {
			all[table.Name] = [][]any{}
			err := q.EachRow(ctx, table, func(values []any) error {
				all[table.Name] = append(all[table.Name], slices.Clone(values))
				return nil
			})
			if n, countErr := q.CountRows(ctx, table); err != nil || countErr != nil || n != int64(len(all[table.Name])) {
				return errors.Join(err, countErr, fmt.Errorf("%d rows of %s are counted", n, table.Name))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	return all
}

// loaded fills a database with rows.
func loaded(t *testing.T, s *store.Store, all map[string][][]any) error {
	t.Helper()
	return s.Load(within(t, time.Minute), func(ctx context.Context, l *store.Loader) error {
		for _, table := range store.DumpTables() {
			rows := all[table.Name]
			err := l.Table(ctx, table.Name, table.Columns, func() ([]any, error) {
				if len(rows) == 0 {
					return nil, io.EOF
				}
				row := rows[0]
				rows = rows[1:]
				return row, nil
			})
			if err != nil {
				return err
			}
		}
		return l.SetSequences(ctx)
	})
}

func TestEveryRowGoesFromEachEngineToEach(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		w.fill(t, 130)
		want := dumped(t, w.Store)
		for _, engine := range []store.Engine{store.SQLite, store.PostgreSQL} {
			o := freshDatabase(t, engine)
			o.Migrations = nil
			s := migrated(t, o)
			if empty, err := s.HoldsNothing(t.Context()); err != nil || !empty {
				t.Errorf("a new database holds something: %v", err)
			}
			if err := loaded(t, s, want); err != nil {
				t.Fatal(fault.Detail(err))
			}
			equal(t, "rows in "+engine.String(), dumped(t, s), want)
			if empty, err := s.HoldsNothing(t.Context()); err != nil || empty {
				t.Errorf("a filled database holds nothing: %v", err)
			}
			// The engine counts on behind what was loaded.
			event := store.AuditEvent{At: 1, Action: "x"}
			if err := s.Write(t.Context(), func(ctx context.Context, tx store.Tx) error {
				return tx.InsertAuditEvents(ctx, []store.AuditEvent{event})
			}); err != nil {
				t.Error(fault.Detail(err))
			}
			if err := loaded(t, s, want); !errors.Is(err, fault.Conflict) {
				t.Errorf("loaded twice: %v", err)
			}
		}
	})
}

func TestAFailedLoadLeavesNothing(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		all := dumped(t, w.Store)
		o := freshDatabase(t, w.Engine())
		o.Migrations = nil
		s := migrated(t, o)
		mine := errors.New("the source is at its end")
		err := s.Load(t.Context(), func(ctx context.Context, l *store.Loader) error {
			tables := store.DumpTables()
			rows := all[tables[1].Name]
			return l.Table(ctx, tables[1].Name, tables[1].Columns, func() ([]any, error) {
				if len(rows) == 0 {
					return nil, mine
				}
				row := rows[0]
				rows = rows[1:]
				return row, nil
			})
		})
		if !errors.Is(err, mine) {
			t.Errorf("%v", err)
		}
		if empty, err := s.HoldsNothing(t.Context()); err != nil || !empty {
			t.Errorf("something stayed: %v", err)
		}
		for what, columns := range map[string][]store.Column{
			"fewer columns": store.DumpTables()[1].Columns[1:],
			"other columns": append([]store.Column{{Name: "other", Kind: store.TextColumn}}, store.DumpTables()[1].Columns[1:]...),
		} {
			if err := loadNothing(t, s, "users", columns); !errors.Is(err, store.ErrOtherSchema) {
				t.Errorf("%s: %v", what, err)
			}
		}
		for _, table := range []string{"nowhere", "sessions", "schema_migrations"} {
			if err := loadNothing(t, s, table, nil); !errors.Is(err, store.ErrOtherSchema) {
				t.Errorf("table %s: %v", table, err)
			}
		}
	})
}

func loadNothing(t *testing.T, s *store.Store, table string, columns []store.Column) error {
	t.Helper()
	return s.Load(t.Context(), func(ctx context.Context, l *store.Loader) error {
		return l.Table(ctx, table, columns, func() ([]any, error) { return nil, io.EOF })
	})
}

// fill adds n secrets, some with former versions and some deleted, and a trail.
func (w *world) fill(t *testing.T, n int) {
	t.Helper()
	w.write(t, func(ctx context.Context, tx store.Tx) error {
		var secrets []store.Secret
		var events []store.AuditEvent
		for i := range n {
			secrets = append(secrets, secret(w.shopDev, fmt.Sprintf("KEY_%d", i), fmt.Sprintf("sealed %d é \"\n", i)))
			events = append(events, store.AuditEvent{At: store.Micros(i), Action: "secret.write", Outcome: "success", Target: "KEY"})
		}
		if err := tx.InsertAuditEvents(ctx, events); err != nil {
			return err
		}
		return tx.InsertSecrets(ctx, secrets)
	})
	for _, statement := range []string{
		"INSERT INTO secret_versions (secret_id, version, key, comment, sealed, key_fingerprint, revision, updated_at, updated_by_kind, updated_by_id, updated_by_name)" +
			" SELECT id, 1, key, comment, sealed, 'f', 1, 9, 'user', '1', 'ann' FROM secrets",
		"UPDATE secrets SET sealed = NULL, version = 2 WHERE key = 'KEY_7'",
		"INSERT INTO instance (id, onboarded_at) VALUES (1, 4)",
	} {
		mustWrite(t, w.Store, statement)
	}
}
