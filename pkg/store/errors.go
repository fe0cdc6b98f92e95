package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/heartlock/heartlock/pkg/fault"
)

// ErrCorrupt says that the database is damaged or is no database. What it says
// can not be trusted any more, and going on may make it worse: the program
// should end.
var ErrCorrupt = errors.New("the database is damaged")

// ErrReference says that a row refers to one that is not there, or that one
// which others refer to would vanish.
var ErrReference = errors.New("a row would refer to nothing")

// Duplicate is the cause of a fault.Conflict: a row with these values exists
// already. On PostgreSQL the transaction can only be rolled back after it.
type Duplicate struct {
	Table      string
	Columns    []string // in the order of the constraint; empty when the engine does not say
	Constraint string   // its name; empty on SQLite
	cause      error
}

// Error names the columns, not the values.
func (d *Duplicate) Error() string {
	return fmt.Sprintf("duplicate %s(%s) %s", d.Table, strings.Join(d.Columns, ", "), d.Constraint)
}

// Unwrap is the driver's error.
func (d *Duplicate) Unwrap() error { return d.cause }

// IsDuplicate reports whether err comes from a row of table that has the values
// of another in exactly these columns.
func IsDuplicate(err error, table string, columns ...string) bool {
	var d *Duplicate
	return errors.As(err, &d) && d.Table == table && slices.Equal(d.Columns, columns)
}

// How soon what failed for a while is worth another try.
const (
	soon  = time.Second     // somebody else was writing
	later = 5 * time.Second // something is away or full
)

// wrap translates an error of database/sql or a driver into the fault that it
// is; the error itself stays as the cause, for the log. What is a fault already
// and what it does not know it returns as it is, and so is the end of a ctx by
// its caller. Nil stays nil.
func wrap(err error) error {
	if err == nil {
		return nil // without the allocations below: this is on every path
	}
	return translate(err)
}

func translate(err error) error {
	var (
		lite *sqlite.Error
		pg   *pgconn.PgError
	)
	switch {
	case fault.As(err) != nil:
		return err
	case errors.Is(err, sql.ErrNoRows):
		return fault.Wrap(fault.NotFound, err, "Not found.")
	case errors.Is(err, context.DeadlineExceeded):
		return unavailable(err, soon, "The database did not answer in time.")
	case errors.Is(err, context.Canceled):
		return err
	case strings.Contains(err.Error(), nulMarker):
		return containsNUL(err)
	case errors.As(err, &lite):
		return wrapSQLite(err, lite)
	case errors.As(err, &pg):
		return wrapPostgres(err, pg)
	case isConnectionError(err):
		return away(err)
	}
	return err
}

func unavailable(cause error, after time.Duration, message string) error {
	f := fault.Wrap(fault.Unavailable, cause, message)
	f.RetryAfter = after
	return f
}

func away(cause error) error {
	return unavailable(cause, later, "The database can not be reached at the moment.")
}

func busy(cause error) error {
	return unavailable(cause, soon, "The database is busy at the moment.")
}

func full(cause error) error {
	return unavailable(cause, later, "The database has no room left.")
}

func readOnly(cause error) error {
	return unavailable(cause, later, "The database can only be read at the moment.")
}

func corrupt(cause error) error {
	return fault.Wrap(fault.Internal, fmt.Errorf("%w: %w", ErrCorrupt, cause), "The database is damaged.")
}

func containsNUL(cause error) error {
	return fault.Wrap(fault.Invalid, cause, "A text contains a NUL character.")
}

func dangling(cause error) error {
	return fault.Wrap(fault.Conflict, fmt.Errorf("%w: %w", ErrReference, cause), "This refers to something that does not exist, or is still in use.")
}

func (d *Duplicate) conflict() error {
	return fault.Wrap(fault.Conflict, d, "This exists already.")
}

// wrapSQLite goes by the result codes of https://www.sqlite.org/rescode.html:
// the low byte is the kind, the rest says more.
func wrapSQLite(err error, e *sqlite.Error) error {
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return sqliteDuplicate(err).conflict()
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return dangling(err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return busy(err)
	case sqlite3.SQLITE_FULL:
		return full(err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return readOnly(err)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL:
		return away(err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return corrupt(err)
	case sqlite3.SQLITE_INTERRUPT:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	}
	return err
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// sqliteDuplicate reads "UNIQUE constraint failed: users.a, users.b (2067)".
func sqliteDuplicate(err error) *Duplicate {
	d := &Duplicate{cause: err}
	_, names, _ := strings.Cut(err.Error(), "UNIQUE constraint failed: ")
	names, _, _ = strings.Cut(names, " (")
	for name := range strings.SplitSeq(names, ", ") {
		if table, column, found := strings.Cut(name, "."); found {
			d.Table, d.Columns = table, append(d.Columns, column)
		}
	}
	return d
}

// wrapPostgres goes by https://www.postgresql.org/docs/current/errcodes-appendix.html.
func wrapPostgres(err error, e *pgconn.PgError) error {
	switch e.Code {
	case "23505": // unique_violation
		return postgresDuplicate(err, e).conflict()
	case "23503": // foreign_key_violation
		return dangling(err)
	case "22021": // character_not_in_repertoire
		return containsNUL(err)
	case "40001", "40P01", "55P03", "57014": // serialization, deadlock, lock_timeout, statement_timeout
		return busy(err)
	case "53100": // disk_full
		return full(err)
	case "25006": // read_only_sql_transaction: a standby, until it is promoted
		return readOnly(err)
	case "XX001", "XX002": // data_corrupted, index_corrupted
		return corrupt(err)
	case "25P03", "3D000", "58030": // idle transaction ended, database gone, io_error
		return away(err)
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "08", "28", "53", "57": // connection, authorization, resources (too many connections), shutdown
		return away(err)
	}
	return err
}

// postgresDuplicate reads "Key (project_id, slug)=(…) already exists.", of which
// only the names are kept.
func postgresDuplicate(err error, e *pgconn.PgError) *Duplicate {
	d := &Duplicate{Table: e.TableName, Constraint: e.ConstraintName, cause: err}
	_, names, found := strings.Cut(e.Detail, "(")
	names, _, closed := strings.Cut(names, ")=(")
	if found && closed {
		d.Columns = strings.Split(names, ", ")
	}
	return d
}

// isConnectionError recognises that there is no connection, or no more.
func isConnectionError(err error) bool {
	var (
		connect *pgconn.ConnectError
		network net.Error
	)
	return errors.As(err, &connect) || errors.As(err, &network) || isConnectionLost(err)
}

// isConnectionLost recognises that a connection ended while it was used.
func isConnectionLost(err error) bool {
	for _, sign := range []error{
		driver.ErrBadConn, sql.ErrConnDone, pgconn.ErrConnClosed, net.ErrClosed, io.EOF, io.ErrUnexpectedEOF,
		syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPIPE,
	} {
		if errors.Is(err, sign) {
			return true
		}
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "57P0"))
}

// beginError marks a transaction that failed to begin.
type beginError struct{ error }

func (e beginError) Unwrap() error { return e.error }

// nothingHappened recognises a transaction that PostgreSQL has rolled back for
// the sake of others, or that never began because the pooled connection was
// dead. A server that can not be reached is not worth an immediate try.
func nothingHappened(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01") {
		return true
	}
	var (
		begin   beginError
		connect *pgconn.ConnectError
	)
	return errors.As(err, &begin) && isConnectionLost(err) && !errors.As(err, &connect)
}
