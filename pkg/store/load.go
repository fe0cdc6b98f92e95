package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
)

// Loader fills an empty database in one transaction; see Store.Load.
type Loader struct {
	Tx
	conn   bun.Conn // that the transaction runs on
	filled map[string]bool
}

// Load runs do in a transaction that fills the database with the tables of a
// backup, and commits it if do returns nil. It waits for nobody else: first runs
// and servers that start wait until it ends.
func (s *Store) Load(ctx context.Context, do func(ctx context.Context, l *Loader) error) error {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	s.writing.getWanted(ctx)
	conn, err := s.writes.Conn(ctx)
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = conn.Close() }()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return wrap(err)
	}
	return finish(tx, func() error {
		l := &Loader{s.within(tx), conn, map[string]bool{}}
		if err := l.withoutLimits(ctx); err != nil {
			return err
		}
		if s.engine == PostgreSQL {
			if _, err := tx.ExecContext(ctx, "LOCK TABLE instance, encryption_keys, users, projects IN EXCLUSIVE MODE"); err != nil {
				return wrap(err)
			}
		}
		if err := do(ctx, l); err != nil {
			return err
		}
		return l.flush(ctx)
	})
}

// ErrOtherSchema says that a table to be loaded is not as the database has it.
var ErrOtherSchema = errors.New("the table is not part of the schema, or has other columns")

// Table fills a table. The columns must be those that the table has in the
// database, in any order, and of the same kinds, as far as this release knows them.
// A table is filled once. next gives the rows, with values of the columns' kinds
// or nil, and then io.EOF; the slice may be the same each time.
func (l *Loader) Table(ctx context.Context, name string, columns []Column, next func() ([]any, error)) error {
	there, err := l.columnsOf(ctx, name)
	if err != nil {
		return err
	}
	if _, not := notDumped()[name]; not || len(there) == 0 || len(there) != len(columns) || l.filled[name] {
		return fmt.Errorf("%w: %s", ErrOtherSchema, name)
	}
	l.filled[name] = true
	kinds := kindsOf(name)
	for _, c := range columns {
		if kind, known := kinds[c.Name]; !there[c.Name] || known && kind != c.Kind {
			return fmt.Errorf("%w: %s.%s", ErrOtherSchema, name, c.Name)
		}
	}
	t := Table{Name: name, Columns: columns}
	if l.engine == PostgreSQL {
		return wrap(l.copyTable(ctx, t, next))
	}
	return wrap(l.insertTable(ctx, t, next))
}

// kindsOf are the kinds of a table's columns in the present schema.
func kindsOf(table string) map[string]ColumnKind {
	kinds := map[string]ColumnKind{}
	for _, t := range dumpTables() {
		if t.Name == table {
			for _, c := range t.Columns {
				kinds[c.Name] = c.Kind
			}
		}
	}
	return kinds
}

// Complete fails with ErrOtherSchema unless every table that a backup of this
// database holds was filled.
func (l *Loader) Complete(ctx context.Context) error {
	for _, t := range dumpTables() {
		there, err := l.columnsOf(ctx, t.Name)
		if err != nil {
			return err
		}
		if len(there) > 0 && !l.filled[t.Name] {
			return fmt.Errorf("%w: %s is missing", ErrOtherSchema, t.Name)
		}
	}
	return nil
}

// copyTable is for PostgreSQL: COPY in its binary form.
func (l *Loader) copyTable(ctx context.Context, t Table, next func() ([]any, error)) error {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	var failed error // the driver would tell the server and return the server's answer
	source := pgx.CopyFromFunc(func() ([]any, error) {
		row, err := next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		failed = err
		return row, err
	})
	err := l.conn.Raw(func(driver any) error {
		conn, ok := driver.(*stdlib.Conn)
		if !ok {
			return errors.New("the connection is not one of pgx")
		}
		_, err := conn.Conn().CopyFrom(ctx, pgx.Identifier{t.Name}, names, source)
		return err
	})
	if failed != nil {
		return failed
	}
	return err
}

// loadChunk is how many rows one INSERT has on SQLite.
const loadChunk = 50

// insertTable is for SQLite.
func (l *Loader) insertTable(ctx context.Context, t Table, next func() ([]any, error)) error {
	values := make([]any, 0, loadChunk*len(t.Columns))
	full, err := l.prepareInsert(ctx, t, loadChunk)
	if err != nil {
		return err
	}
	defer func() { _ = full.Close() }()
	quick := context.WithoutCancel(ctx) // see Queries.unwatched
	for {
		row, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if values = append(values, row...); len(values) < cap(values) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := full.ExecContext(quick, values...); err != nil {
			return err
		}
		values = values[:0]
	}
	if len(values) == 0 {
		return nil
	}
	rest, err := l.prepareInsert(ctx, t, len(values)/len(t.Columns))
	if err != nil {
		return err
	}
	defer func() { _ = rest.Close() }()
	_, err = rest.ExecContext(quick, values...)
	return err
}

func (l *Loader) prepareInsert(ctx context.Context, t Table, rows int) (*sql.Stmt, error) {
	row := "(?" + strings.Repeat(", ?", len(t.Columns)-1) + ")"
	return l.tx.PrepareContext(ctx, "INSERT INTO "+t.Name+" ("+t.columnNames()+") VALUES "+row+strings.Repeat(", "+row, rows-1))
}

// ClearRest empties the tables that a backup does not hold, but for the record
// of the migrations.
func (l *Loader) ClearRest(ctx context.Context) error {
	for table := range notDumped() {
		if table == "schema_migrations" {
			continue
		}
		there, err := l.columnsOf(ctx, table)
		if err != nil {
			return err
		}
		if len(there) == 0 {
			continue
		}
		if _, err := l.db.ExecContext(ctx, "DELETE FROM "+table); err != nil {
			return wrap(err)
		}
	}
	return nil
}

// InsertKeys enters encryption keys. Like InsertEvent it names the columns that
// every schema has of which there can be a backup, so that it works before later
// migrations as well.
func (l *Loader) InsertKeys(ctx context.Context, keys []EncryptionKey) error {
	in := newInsertion("encryption_keys", "fingerprint", "check_token", "created_at", "is_sealing", "retired_at", "exported_at")
	for _, k := range keys {
		if err := l.insertRows(ctx, in, []any{k.Fingerprint, k.CheckToken, k.CreatedAt, k.IsSealing, k.RetiredAt, k.ExportedAt}); err != nil {
			return err
		}
	}
	return nil
}

// InsertEvent appends to the audit trail; see InsertKeys. keeper has the key of
// the chain, which goes on behind what was loaded. If keeper can not open it, the
// event begins a new chain.
func (l *Loader) InsertEvent(ctx context.Context, event AuditEvent, keeper ChainKeeper) error {
	there, err := l.columnsOf(ctx, "audit_chain")
	if err != nil {
		return err
	}
	if len(there) > 0 {
		l.pending.chain = &chain{}
		l.pending.chain.keeper.Store(&keeper)
		if err := l.forgetClosedChain(ctx, keeper); err != nil {
			return err
		}
		return l.InsertAuditEvents(ctx, []AuditEvent{event})
	}
	columns := slices.DeleteFunc(slices.Clone(auditColumns), func(c string) bool { return c == "credential" })
	in := newInsertion("audit_events", append([]string{"at"}, columns...)...)
	texts := auditTexts(&event)
	return l.insertRows(ctx, in, append([]any{int64(event.At)}, texts[:len(columns)]...))
}

func (l *Loader) forgetClosedChain(ctx context.Context, keeper ChainKeeper) error {
	row, err := l.AuditChain(ctx)
	if err != nil || row == nil {
		return err
	}
	if _, err := keeper.OpenChainKey(row.Sealed, row.KeyFingerprint); err != nil {
		return l.ForgetChain(ctx)
	}
	return nil
}

// SetSequences has the engine count on from the rows that were loaded. It is
// called after the last table and before anything else is inserted.
func (l *Loader) SetSequences(ctx context.Context) error {
	if l.engine == SQLite {
		return nil // it looks at the rows
	}
	for _, t := range dumpTables() {
		if !t.identity {
			continue
		}
		_, err := l.db.ExecContext(ctx, "SELECT setval(pg_get_serial_sequence('"+t.Name+"', 'id'), COALESCE((SELECT max(id) FROM "+t.Name+"), 0) + 1, false)")
		if err != nil {
			return wrap(err)
		}
	}
	return nil
}

// SchemaVersion is the version of the schema that the database has; 0 is none.
func (s *Store) SchemaVersion(ctx context.Context) (int, error) {
	rows, err := s.appliedMigrations(ctx, s.readers)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return slices.MaxFunc(rows, func(a, b applied) int { return a.version - b.version }).version, nil
}
