package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// sealedTable is a table whose rows hold a Fernet token in a column named sealed
// (NULL: none) and the fingerprint of its key in key_fingerprint.
type sealedTable struct {
	name string
	key  []sealedKey // its primary key, in order
}

type sealedKey struct {
	column string
	isText bool
}

// sealedTables is the one list of what is sealed: rotation, verification and the
// counting of keys walk it. A test compares it with the schema. The check tokens
// of encryption_keys are not in it: each stays under its own key, to tell
// whether that key is at hand.
var sealedTables = []sealedTable{
	{"secrets", []sealedKey{{column: "id"}}},
	{"secret_versions", []sealedKey{{column: "secret_id"}, {column: "version"}}},
	{"idempotency_keys", []sealedKey{{column: "owner", isText: true}, {column: "key", isText: true}}},
	{"second_factors", []sealedKey{{column: "user_id", isText: true}}},
	{"mail_queue", []sealedKey{{column: "id", isText: true}}},
	{"settings", []sealedKey{{column: "id"}}},
	{"audit_chain", []sealedKey{{column: "id"}}},
}

// SealedTables names the tables that hold sealed values, in the order in which a
// rotation has to go through them: an edit moves a token from secrets to
// secret_versions.
func SealedTables() []string {
	names := make([]string, len(sealedTables))
	for i, t := range sealedTables {
		names[i] = t.name
	}
	return names
}

func sealedTableOf(name string) (sealedTable, error) {
	i := slices.IndexFunc(sealedTables, func(t sealedTable) bool { return t.name == name })
	if i < 0 {
		return sealedTable{}, fmt.Errorf("the table %q holds nothing sealed", name)
	}
	return sealedTables[i], nil
}

// columns are those of the primary key, separated by commas; prefix stands
// before each.
func (t sealedTable) columns(prefix string) string {
	names := make([]string, len(t.key))
	for i, k := range t.key {
		names[i] = prefix + k.column
	}
	return strings.Join(names, ", ")
}

// SealedRow is one sealed value with the primary key of its row.
type SealedRow struct {
	Key            []any // int64 or string
	Sealed         string
	KeyFingerprint string
}

// SealedAfter reads up to limit sealed values of a table in the order of its
// primary key: those after the given key (nil: from the start) that are not
// under the encryption key with the fingerprint except ("" excepts none).
func (q Queries) SealedAfter(ctx context.Context, table string, after []any, except string, limit int) ([]SealedRow, error) {
	t, err := sealedTableOf(table)
	if err != nil {
		return nil, err
	}
	args := []any{except}
	beyond := ""
	if after != nil {
		beyond = " AND (" + t.columns("") + ") > (" + strings.TrimPrefix(strings.Repeat(", ?", len(t.key)), ", ") + ")"
		args = append(args, after...)
	}
	rows, err := q.hot(ctx, "SELECT "+t.columns("")+", sealed, key_fingerprint FROM "+t.name+
		" WHERE sealed IS NOT NULL AND key_fingerprint <> ?"+beyond+" ORDER BY "+t.columns("")+" LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	page := make([]SealedRow, 0, limit)
	for rows.Next() {
		row := SealedRow{Key: make([]any, len(t.key))}
		dest := make([]any, 0, len(t.key)+2)
		for i := range row.Key {
			dest = append(dest, &row.Key[i])
		}
		if err := rows.Scan(append(dest, &row.Sealed, &row.KeyFingerprint)...); err != nil {
			return nil, wrap(err)
		}
		page = append(page, row)
	}
	return page, wrap(rows.Err())
}

// CountSealedByKey counts the sealed values by the fingerprint of their key.
func (q Queries) CountSealedByKey(ctx context.Context) (map[string]int64, error) {
	counts := map[string]int64{}
	for _, t := range sealedTables {
		if err := q.countSealed(ctx, t, counts); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

func (q Queries) countSealed(ctx context.Context, t sealedTable, counts map[string]int64) error {
	rows, err := q.db.QueryContext(ctx, "SELECT key_fingerprint, COUNT(*) FROM "+t.name+" WHERE sealed IS NOT NULL GROUP BY key_fingerprint")
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var fingerprint string
		var n int64
		if err := rows.Scan(&fingerprint, &n); err != nil {
			return wrap(err)
		}
		counts[fingerprint] += n
	}
	return wrap(rows.Err())
}

// Resealed is a value as it was read and its token under another key.
type Resealed struct {
	SealedRow
	Token string
}

// ReplaceSealed puts values of a table under another key. A row that has been
// changed since it was read, or on PostgreSQL is being changed, stays as it is.
// It returns how many were replaced.
func (tx Tx) ReplaceSealed(ctx context.Context, table, fingerprint string, rows []Resealed) (int64, error) {
	t, err := sealedTableOf(table)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	if tx.engine == PostgreSQL {
		return tx.replaceSealedAtOnce(ctx, t, fingerprint, rows)
	}
	return tx.replaceSealedEach(ctx, t, fingerprint, rows)
}

// replaceSealedEach is for SQLite, where a statement costs little.
func (tx Tx) replaceSealedEach(ctx context.Context, t sealedTable, fingerprint string, rows []Resealed) (replaced int64, err error) {
	text := "UPDATE " + t.name + " SET sealed = ?, key_fingerprint = ? WHERE sealed = ?"
	for _, k := range t.key {
		text += " AND " + k.column + " = ?"
	}
	args := make([]any, 0, 3+len(t.key))
	for i := range rows {
		if i%100 == 0 && ctx.Err() != nil {
			return replaced, wrap(ctx.Err())
		}
		row := &rows[i]
		args = append(append(args[:0], row.Token, fingerprint, row.Sealed), row.Key...)
		result, err := tx.hotExec(ctx, text, args...)
		if err != nil {
			return replaced, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return replaced, wrap(err)
		}
		replaced += n
	}
	return replaced, nil
}

// replaceSealedAtOnce is for PostgreSQL: one statement for all rows. It waits for
// no row lock, so that it can not be part of a deadlock. The planner, which has to
// guess how long the arrays are, looks each row up by its key; so nothing here may
// join two lists without an index, which would take the square of their length.
func (tx Tx) replaceSealedAtOnce(ctx context.Context, t sealedTable, fingerprint string, rows []Resealed) (int64, error) {
	arrays, former, tokens := make([]any, len(t.key)), make([]string, len(rows)), make([]string, len(rows))
	casts := make([]string, len(t.key))
	for i, k := range t.key {
		casts[i] = "?::bigint[]"
		if k.isText {
			casts[i] = "?::text[]"
		}
		array, err := arrayOf(rows, i, k.isText)
		if err != nil {
			return 0, err
		}
		arrays[i] = array
	}
	for i := range rows {
		former[i], tokens[i] = rows[i].Sealed, rows[i].Token
	}
	text := `
WITH wanted (` + t.columns("") + `, former, token) AS (
    SELECT * FROM unnest(` + strings.Join(casts, ", ") + `, ?::text[], ?::text[])
), free AS (
    SELECT ` + t.columns("t.") + `, wanted.former, wanted.token FROM ` + t.name + ` t JOIN wanted USING (` + t.columns("") + `)
    WHERE t.sealed = wanted.former FOR UPDATE OF t SKIP LOCKED
)
UPDATE ` + t.name + ` t SET sealed = free.token, key_fingerprint = ?
FROM free WHERE (` + t.columns("t.") + `) = (` + t.columns("free.") + `) AND t.sealed = free.former`
	result, err := tx.hotExec(ctx, text, append(arrays, former, tokens, fingerprint)...)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return n, wrap(err)
}

var errSealedKey = errors.New("a primary key is of another type than the schema says")

// arrayOf is the i-th part of the rows' keys.
func arrayOf(rows []Resealed, i int, isText bool) (any, error) {
	if isText {
		return typedArray[string](rows, i)
	}
	return typedArray[int64](rows, i)
}

func typedArray[T any](rows []Resealed, i int) ([]T, error) {
	array := make([]T, len(rows))
	for j := range rows {
		part, ok := rows[j].Key[i].(T)
		if !ok {
			return nil, errSealedKey
		}
		array[j] = part
	}
	return array, nil
}
