package store

import (
	"context"
	"database/sql"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Queries reads. On a Store it runs on the read pool, with statements prepared
// once; inside Write it runs in the transaction and so sees its own changes.
//
// Every read of something that belongs to a project names the project or the
// caller, so that no row of another tenant can come back. Whether the caller
// may do what he wants with the row is not decided here.
type Queries struct {
	db       bun.IDB
	engine   Engine
	prepared *statements // nil in a transaction
	locks    bool        // what is found is locked until the transaction ends
}

// Tx reads and writes in one transaction; see Store.Write.
type Tx struct{ Queries }

// statements caches prepared statements by their text. The texts are constants
// of this package, so the cache is bounded.
type statements struct {
	prepare func(context.Context, string) (*sql.Stmt, error)
	byText  sync.Map // string -> *sql.Stmt
}

func (s *statements) get(ctx context.Context, text string) (*sql.Stmt, error) {
	if stmt, ok := s.byText.Load(text); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := s.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	if other, loaded := s.byText.LoadOrStore(text, stmt); loaded {
		_ = stmt.Close()
		return other.(*sql.Stmt), nil
	}
	return stmt, nil
}

func (s *statements) close() {
	s.byText.Range(func(_, stmt any) bool {
		_ = stmt.(*sql.Stmt).Close()
		return true
	})
}

// hot runs a query of the hot paths: prepared on the read pool, through bun in
// a transaction. The placeholders are ?.
func (q Queries) hot(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if q.prepared == nil {
		rows, err := q.db.QueryContext(ctx, text, args...)
		return rows, wrap(err)
	}
	stmt, err := q.prepared.get(ctx, text)
	if err != nil {
		return nil, wrap(err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return rows, wrap(err)
}

// hotRow scans the first row of a hot query; no row is fault.NotFound.
func (q Queries) hotRow(ctx context.Context, dest []any, text string, args ...any) error {
	rows, err := q.hot(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return wrap(err)
		}
		return wrap(sql.ErrNoRows)
	}
	if err := rows.Scan(dest...); err != nil {
		return wrap(err)
	}
	return wrap(rows.Close())
}

// idOrSlug is the column that a reference from a path names. A slug never looks
// like an id: the domain refuses such slugs.
func idOrSlug(alias, ref string) string {
	if IsID(ref) {
		return alias + ".id"
	}
	return alias + ".slug"
}

// IsID reports whether ref has the form of an id.
func IsID(ref string) bool {
	if len(ref) != 36 {
		return false
	}
	_, err := uuid.Parse(ref)
	return err == nil
}

// affected turns a statement that changed no row into fault.NotFound.
func affected(result sql.Result, err error) error {
	if err != nil {
		return wrap(err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return wrap(err)
	}
	if n == 0 {
		return wrap(sql.ErrNoRows)
	}
	return nil
}

// insertChunk bounds the rows of one INSERT, so that a statement stays small
// whatever the number of rows.
const insertChunk = 500

func insertAll[T any](ctx context.Context, db bun.IDB, rows []T) error {
	for chunk := range slices.Chunk(rows, insertChunk) {
		if _, err := db.NewInsert().Model(&chunk).Exec(ctx); err != nil {
			return wrap(err)
		}
	}
	return nil
}
