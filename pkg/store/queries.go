package store

import (
	"context"
	"database/sql"
	"slices"

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
	prepared *statements
	tx       *sql.Tx // nil: outside of any transaction
	locks    bool    // what is found is locked until the transaction ends
}

// Tx reads and writes in one transaction; see Store.Write.
type Tx struct {
	Queries
	pending   *pending
	committed *[]func() // what AfterCommit was given
}

// idOrSlug is the column that a reference from a path names. A slug never looks
// like an id: the domain refuses such slugs.
func idOrSlug(alias string, isID bool) string {
	if isID {
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
