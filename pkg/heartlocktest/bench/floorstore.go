//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"runtime"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// floorStore is one table behind three prepared statements, on the drivers and
// with the durability of the server that it is compared with.
type floorStore struct {
	reader, writer *sql.DB
	selectOne      *sql.Stmt
	selectAll      *sql.Stmt
	update         *sql.Stmt
}

// The statements of each engine. SQLite would skip an update that changes
// nothing, so those who measure change the value each time.
var floorSQL = map[string]struct{ create, insert, one, all, update string }{
	engineSQLite: {
		create: `CREATE TABLE secrets (environment TEXT NOT NULL, key TEXT NOT NULL, sealed TEXT NOT NULL, PRIMARY KEY (environment, key)) STRICT`,
		insert: `INSERT INTO secrets (environment, key, sealed) VALUES (?, ?, ?)`,
		one:    `SELECT sealed FROM secrets WHERE environment = ? AND key = ?`,
		all:    `SELECT key, sealed FROM secrets WHERE environment = ? ORDER BY key`,
		update: `UPDATE secrets SET sealed = ? WHERE environment = ? AND key = ?`,
	},
	enginePostgres: {
		create: `CREATE TABLE secrets (environment text NOT NULL, key text NOT NULL, sealed text NOT NULL, PRIMARY KEY (environment, key))`,
		insert: `INSERT INTO secrets (environment, key, sealed) VALUES ($1, $2, $3)`,
		one:    `SELECT sealed FROM secrets WHERE environment = $1 AND key = $2`,
		all:    `SELECT key, sealed FROM secrets WHERE environment = $1 ORDER BY key`,
		update: `UPDATE secrets SET sealed = $1 WHERE environment = $2 AND key = $3`,
	},
}

func openFloorStore(ctx context.Context, engine, address string, sealed map[string]map[string]string) (*floorStore, error) {
	s := new(floorStore)
	if err := s.connect(engine, address); err != nil {
		return nil, err
	}
	text := floorSQL[engine]
	for _, statement := range []string{`DROP TABLE IF EXISTS secrets`, text.create} {
		if _, err := s.writer.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	for environment, secrets := range sealed {
		for key, token := range secrets {
			if _, err := s.writer.ExecContext(ctx, text.insert, environment, key, token); err != nil {
				return nil, err
			}
		}
	}
	var errOne, errAll, errUpdate error
	s.selectOne, errOne = s.reader.PrepareContext(ctx, text.one)
	s.selectAll, errAll = s.reader.PrepareContext(ctx, text.all)
	s.update, errUpdate = s.writer.PrepareContext(ctx, text.update)
	return s, errors.Join(errOne, errAll, errUpdate)
}

// connect opens as many connections as the server opens, and on SQLite one for
// writing beside those for reading.
func (s *floorStore) connect(engine, address string) (err error) {
	if engine == enginePostgres {
		if s.reader, err = pool("pgx", address, max(10, 4*runtime.NumCPU())); err == nil {
			s.writer = s.reader
		}
		return err
	}
	dsn := "file:" + (&url.URL{Path: address}).EscapedPath() + "?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=10000&_txlock=immediate"
	if s.writer, err = pool("sqlite", dsn, 1); err != nil {
		return err
	}
	s.reader, err = pool("sqlite", dsn, max(4, 2*runtime.NumCPU()))
	return err
}

func pool(driver, dsn string, connections int) (*sql.DB, error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func (s *floorStore) one(ctx context.Context, environment, key string) (sealed string, err error) {
	err = s.selectOne.QueryRowContext(ctx, environment, key).Scan(&sealed)
	return sealed, err
}

func (s *floorStore) all(ctx context.Context, environment string, each func(key, sealed string)) error {
	rows, err := s.selectAll.QueryContext(ctx, environment)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key, sealed string
		if err := rows.Scan(&key, &sealed); err != nil {
			return err
		}
		each(key, sealed)
	}
	return rows.Err()
}

// replace returns once the new value is durable.
func (s *floorStore) replace(ctx context.Context, environment, key, sealed string) error {
	result, err := s.update.ExecContext(ctx, sealed, environment, key)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("%d rows changed (%w)", n, err)
	}
	return nil
}

func (s *floorStore) close() {
	_ = s.reader.Close()
	_ = s.writer.Close()
}
