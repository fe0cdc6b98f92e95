// Package store keeps the data of Heartlock in SQLite or PostgreSQL. It opens the
// database, migrates its schema, runs transactions, and holds every query; the
// same queries run on both engines. It owns bun and the drivers: what leaves it
// is plain rows and errors of package fault, never a driver's.
//
// It knows no permissions. Whether a caller may see or change a row is decided
// in package vault; here a query only names the project or user that the row must
// belong to. Values of secrets are sealed before they come here.
//
// # Engines
//
// SQLite has one connection that writes, whose users queue up, and a pool of
// connections that refuse to. PostgreSQL has one pool. See [Store.Write] for what
// a transaction promises on each.
//
// A query has no time limit of its own on SQLite, and on PostgreSQL one that
// only a living server keeps: give every call a context with a deadline.
package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
	"golang.org/x/sync/semaphore"

	"github.com/heartlock/heartlock/migrations"
	"github.com/heartlock/heartlock/pkg/fault"
)

// Engine is a kind of database.
type Engine int

// The engines. One set of queries runs on both.
const (
	SQLite Engine = iota
	PostgreSQL
)

// String is the engine's name: "sqlite" or "postgres".
func (e Engine) String() string {
	if e == PostgreSQL {
		return "postgres"
	}
	return "sqlite"
}

// Options say which database to open and how.
type Options struct {
	Engine Engine

	// SQLite only.
	Path        string        // the file; made, and its folder, if it is not there
	InMemory    bool          // no file: everything is lost at Close
	BusyTimeout time.Duration // how long a write waits for another process; 0 = 10 s
	Synchronous string        // "full" (also ""): what was acknowledged survives a power cut; "normal": the last of it may not

	// PostgreSQL only.
	DSN        string        // URL or keywords, as pgx reads them; may name several hosts
	ConnMaxAge time.Duration // age at which a connection is replaced; 0 = a new one for each use; negative = 60 s

	MaxConns   int                    // connections that read (PostgreSQL: all connections); 0 = by the number of processors
	Migrations []migrations.Migration // nil = those of this binary
}

// Store is an open database. It may be used by many goroutines at once. The
// methods of its Queries read outside of any transaction.
type Store struct {
	Queries
	readers    *sql.DB
	writer     *sql.DB     // SQLite: one connection; PostgreSQL: the same as readers
	writes     *bun.DB     // bun on writer
	writing    *statements // prepared on writer
	turn       *semaphore.Weighted
	busy       time.Duration // SQLite: how long a write waits for another process
	migrations []migrations.Migration
	chain      chain
	inStep     func(version int) // called in a migration's transaction; for tests
}

// Open opens the database and sees that it answers. It does not migrate: the
// queries work only after [Store.Migrate]. What is wrong with the options is
// fault.Usage; a database that is away is fault.Unavailable, and may be there
// later; a file that is no database is [ErrCorrupt]. A SQLite file that another
// process keeps locked is waited for as long as ctx allows.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.chooseMigrations(); err != nil {
		return nil, err
	}
	switch o.Engine {
	case SQLite:
		return openSQLite(ctx, o)
	case PostgreSQL:
		return openPostgres(ctx, o)
	default:
		return nil, fault.Newf(fault.Usage, "There is no database engine %d.", o.Engine)
	}
}

// chooseMigrations takes those of this binary where none are given.
func (o *Options) chooseMigrations() (err error) {
	if o.Migrations == nil {
		o.Migrations, err = migrations.For(o.Engine.String())
	}
	return err
}

// newStore puts the parts together; dialect must be of the same engine.
func newStore(o Options, readers, writer *sql.DB, dialect func() schema.Dialect) *Store {
	s := &Store{readers: readers, writer: writer, migrations: o.Migrations, busy: o.BusyTimeout}
	reads := bun.NewDB(readers, dialect())
	s.writes = reads
	if writer != readers {
		s.writes = bun.NewDB(writer, dialect())
	}
	s.Queries = Queries{db: reads, engine: o.Engine, prepared: newStatements(o.Engine, readers)}
	s.writing = s.prepared
	if writer != readers {
		s.writing = newStatements(o.Engine, writer)
	}
	if o.Engine == SQLite {
		s.turn = semaphore.NewWeighted(1)
	}
	return s
}

// Engine is the kind of database that is open.
func (s *Store) Engine() Engine { return s.engine }

// Ping sees that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return wrap(s.readers.QueryRowContext(ctx, "SELECT 1").Scan(&one))
}

// Prepare makes a statement on the read pool for a query that runs very often.
// Placeholders are ? on both engines. The caller closes it.
func (s *Store) Prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	stmt, err := s.readers.PrepareContext(ctx, s.prepared.spell(query))
	return stmt, wrap(err)
}

// Close waits for what is running and closes every connection. On SQLite it
// leaves the file complete, without files beside it.
func (s *Store) Close() error {
	s.prepared.close()
	s.writing.close()
	err := s.readers.Close() // before the writer, which then tidies up as the last one
	if s.writer != s.readers {
		err = errors.Join(err, s.writer.Close())
	}
	return wrap(err)
}
