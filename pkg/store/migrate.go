package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/heartlock/heartlock/migrations"
	"github.com/heartlock/heartlock/pkg/fault"
)

// How migrations stay whole and single, whatever happens: each step, its row in
// schema_migrations and the lock that keeps other processes out are parts of
// one transaction. A process that is killed takes its transaction with it, and
// thereby the lock; one that comes late waits for the lock, looks at the rows
// again and finds the step done.

const createMigrationsTable = `
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    BIGINT NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    checksum   TEXT   NOT NULL,
    applied_at BIGINT NOT NULL
)`

// migrationLock is the key of the advisory lock; any number that no other
// program on the same PostgreSQL database uses.
const migrationLock = 0x6865617274 // "heart"

// MigrationStatus is one step of the schema and what is known of it.
type MigrationStatus struct {
	Version   int
	Name      string
	Applied   bool
	AppliedAt time.Time // zero when it is not
	Known     bool      // false: a newer heartlock applied it
}

// applied is a row of schema_migrations.
type applied struct {
	version   int
	name      string
	checksum  string
	appliedAt Micros
}

// querier is what a connection and a transaction have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Status lists the steps, those that only the database knows included. It
// changes nothing.
func (s *Store) Status(ctx context.Context) ([]MigrationStatus, error) {
	rows, err := s.appliedMigrations(ctx, s.readers)
	if err != nil {
		return nil, err
	}
	byVersion := make(map[int]MigrationStatus)
	for _, m := range s.migrations {
		byVersion[m.Version] = MigrationStatus{Version: m.Version, Name: m.Name, Known: true}
	}
	for _, row := range rows {
		_, known := byVersion[row.version]
		byVersion[row.version] = MigrationStatus{row.version, row.name, true, row.appliedAt.Time(), known}
	}
	list := make([]MigrationStatus, 0, len(byVersion))
	for _, status := range byVersion {
		list = append(list, status)
	}
	slices.SortFunc(list, func(a, b MigrationStatus) int { return a.Version - b.Version })
	return list, nil
}

// Pending lists the steps that [Store.Migrate] would take; none means that the
// schema is the one of this binary. A database that is newer than the binary,
// or in which a step was applied in another form, is fault.Usage. It changes
// nothing.
func (s *Store) Pending(ctx context.Context) ([]migrations.Migration, error) {
	return s.pending(ctx, s.readers)
}

// Migrate takes the steps that are pending and returns those that it took. Any
// number of processes may do so at once: one takes a step, the others wait for
// as long as ctx allows. Each step happens wholly or not at all. It refuses what
// Pending refuses, before it touches anything. A SQLite file that holds something
// is copied beside itself before the first step, with the end
// .before-STEP-TIME; the newest two copies are kept, and without a copy nothing is
// migrated.
func (s *Store) Migrate(ctx context.Context) ([]migrations.Migration, error) {
	var done []migrations.Migration
	for {
		pending, err := s.Pending(ctx)
		if err != nil || len(pending) == 0 {
			return done, err
		}
		step, err := s.stepUp(ctx, len(done) == 0)
		if err != nil {
			return done, err
		}
		if step != nil {
			done = append(done, *step)
		}
	}
}

// stepUp takes the first pending step, on SQLite after a copy was made if that is
// asked for; nil means that another process did.
func (s *Store) stepUp(ctx context.Context, copyFirst bool) (*migrations.Migration, error) {
	var taken *migrations.Migration
	err := s.inMigration(ctx, func(tx *sql.Tx) error {
		pending, err := s.pending(ctx, tx)
		if err != nil || len(pending) == 0 {
			return err
		}
		step := pending[0]
		if copyFirst {
			if err := s.keepCopy(ctx, step); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, createMigrationsTable); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, step.Up); err != nil {
			return fmt.Errorf("migration %d (%s): %w", step.Version, step.Name, err)
		}
		_, err = tx.ExecContext(ctx, s.sql("INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)"),
			step.Version, step.Name, step.Checksum, int64(MicrosOf(time.Now())))
		taken = &step
		return s.reached(step.Version, err)
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// Down takes steps back, the newest first, until the schema is at version; 0 is
// an empty database. What the steps had stored is lost. It returns the steps
// that it took back and refuses what Pending refuses.
func (s *Store) Down(ctx context.Context, version int) ([]migrations.Migration, error) {
	if version < 0 || version > len(s.migrations) {
		return nil, fault.Newf(fault.Usage, "There is no schema version %d; this heartlock knows 0 to %d.", version, len(s.migrations))
	}
	var done []migrations.Migration
	for {
		step, err := s.stepDown(ctx, version)
		if err != nil || step == nil {
			return done, err
		}
		done = append(done, *step)
	}
}

// stepDown takes the newest step back if it is above version; nil means that
// none is.
func (s *Store) stepDown(ctx context.Context, version int) (*migrations.Migration, error) {
	var taken *migrations.Migration
	err := s.inMigration(ctx, func(tx *sql.Tx) error {
		pending, err := s.pending(ctx, tx)
		if err != nil {
			return err
		}
		current := len(s.migrations) - len(pending)
		if current <= version {
			return nil
		}
		step := s.migrations[current-1]
		if _, err := tx.ExecContext(ctx, step.Down); err != nil {
			return fmt.Errorf("taking back migration %d (%s): %w", step.Version, step.Name, err)
		}
		_, err = tx.ExecContext(ctx, s.sql("DELETE FROM schema_migrations WHERE version = ?"), step.Version)
		taken = &step
		return s.reached(step.Version, err)
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// reached tells a test that the transaction of a step has done all but commit.
func (s *Store) reached(version int, err error) error {
	if err == nil && s.inStep != nil {
		s.inStep(version)
	}
	return err
}

// pending compares what was applied with what the binary has.
func (s *Store) pending(ctx context.Context, q querier) ([]migrations.Migration, error) {
	rows, err := s.appliedMigrations(ctx, q)
	if err != nil {
		return nil, err
	}
	if n := len(rows); n > 0 && rows[n-1].version > len(s.migrations) {
		return nil, fault.Newf(fault.Usage,
			"The database has schema version %d, and this heartlock knows no later one than %d. Use the release that migrated the database, or a newer one.",
			rows[n-1].version, len(s.migrations))
	}
	for i, row := range rows {
		if row.version != i+1 {
			return nil, fault.Newf(fault.Usage, "The database has schema version %d but lacks %d, which comes before it. Restore a backup.", row.version, i+1)
		}
		if m := s.migrations[i]; m.Checksum != row.checksum {
			return nil, fault.Newf(fault.Usage,
				"Schema version %d (%s) was applied to the database in another form than this heartlock has. Use the release that migrated the database, or a newer one.",
				row.version, row.name)
		}
	}
	return s.migrations[len(rows):], nil
}

// appliedMigrations reads the rows of schema_migrations, none if there is no
// such table.
func (s *Store) appliedMigrations(ctx context.Context, q querier) ([]applied, error) {
	exists := "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations')"
	if s.engine == PostgreSQL {
		// Not to_regclass, which may answer from what this session knew before it
		// waited for the lock.
		exists = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'schema_migrations' AND relkind = 'r' AND pg_table_is_visible(oid))"
	}
	var there bool
	if err := q.QueryRowContext(ctx, exists).Scan(&there); err != nil || !there {
		return nil, wrap(err)
	}
	rows, err := q.QueryContext(ctx, "SELECT version, name, checksum, applied_at FROM schema_migrations ORDER BY version")
	if err != nil {
		return nil, wrap(err)
	}
	defer func() { _ = rows.Close() }()
	var list []applied
	for rows.Next() {
		var row applied
		if err := rows.Scan(&row.version, &row.name, &row.checksum, &row.appliedAt); err != nil {
			return nil, wrap(err)
		}
		list = append(list, row)
	}
	return list, wrap(rows.Err())
}

// sql is a query with the engine's placeholders.
func (s *Store) sql(query string) string {
	if s.engine == PostgreSQL {
		return numberPlaceholders(query)
	}
	return query
}

// inMigration runs do in a transaction that no other migration, of this or of
// another process, runs beside.
func (s *Store) inMigration(ctx context.Context, do func(tx *sql.Tx) error) error {
	if s.engine == PostgreSQL {
		return wrap(s.inPostgresMigration(ctx, do))
	}
	return wrap(s.inSQLiteMigration(ctx, do))
}

// watchClient makes the server look whether the client is still there while a
// statement runs, where its operating system can tell.
const watchClient = `
DO $$ BEGIN
    PERFORM set_config('client_connection_check_interval', '1s', true);
EXCEPTION WHEN OTHERS THEN NULL;
END $$`

// inPostgresMigration holds an advisory lock for as long as the transaction
// lasts, so that it works through a connection pooler as well. Nothing limits
// how long the lock is waited for or the step takes, but the step of a client
// that was killed ends.
func (s *Store) inPostgresMigration(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		"SET LOCAL statement_timeout = 0",
		"SET LOCAL lock_timeout = 0",
		"SET LOCAL idle_in_transaction_session_timeout = 0",
		watchClient,
		fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", migrationLock),
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	return commitAfter(tx, do)
}

// inSQLiteMigration takes the write lock at the start. References are checked
// at the end instead of at each statement, because a step that replaces a table
// would otherwise delete what refers to its rows
// (https://www.sqlite.org/lang_altertable.html#otheralter); that can only be
// switched outside of a transaction.
func (s *Store) inSQLiteMigration(ctx context.Context, do func(tx *sql.Tx) error) (err error) {
	if err := s.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.turn.Release(1)
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() {
		_, restored := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA foreign_keys = ON")
		if err == nil {
			err = restored
		}
		_ = conn.Close()
	}()
	if _, err := conn.ExecContext(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return err
	}
	var tx *sql.Tx
	err = waitWhileBusy(ctx, func() (err error) {
		tx, err = conn.BeginTx(ctx, nil)
		return err
	})
	if err != nil {
		return err
	}
	return commitAfter(tx, func(tx *sql.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		return checkReferences(ctx, tx)
	})
}

func commitAfter(tx *sql.Tx, do func(tx *sql.Tx) error) error {
	if err := do(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// checkReferences fails if a row refers to one that is not there.
func checkReferences(ctx context.Context, tx *sql.Tx) error {
	var table string
	err := tx.QueryRowContext(ctx, `SELECT "table" FROM pragma_foreign_key_check LIMIT 1`).Scan(&table)
	if err == sql.ErrNoRows {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w in table %s", ErrReference, table)
}
