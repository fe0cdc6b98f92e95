package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
)

// statements keeps prepared statements by their text. The texts are made of
// constants of this package, so there is a bounded number of them.
type statements struct {
	engine Engine
	db     *sql.DB
	byText sync.Map // string -> *sql.Stmt

	mu     sync.Mutex
	wanted map[string]struct{} // asked for in a transaction, not prepared yet
}

func newStatements(engine Engine, db *sql.DB) *statements {
	return &statements{engine: engine, db: db, wanted: map[string]struct{}{}}
}

// spell writes the placeholders as the engine has them.
func (s *statements) spell(text string) string {
	if s.engine == PostgreSQL {
		return numberPlaceholders(text)
	}
	return text
}

func (s *statements) get(ctx context.Context, text string) (*sql.Stmt, error) {
	if stmt, ok := s.byText.Load(text); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := s.db.PrepareContext(ctx, s.spell(text))
	if err != nil {
		return nil, err
	}
	if other, loaded := s.byText.LoadOrStore(text, stmt); loaded {
		_ = stmt.Close() //nolint:sqlclosecheck // the other one is kept
		return other.(*sql.Stmt), nil
	}
	return stmt, nil
}

// within is a statement of a transaction. One that is asked for the first time
// is prepared for this transaction alone: to prepare it for good takes another
// connection, of which there may be none as long as the transaction has its own.
// getWanted makes up for that.
func (s *statements) within(ctx context.Context, tx *sql.Tx, text string) (*sql.Stmt, error) {
	if stmt, ok := s.byText.Load(text); ok {
		return tx.StmtContext(ctx, stmt.(*sql.Stmt)), nil
	}
	s.mu.Lock()
	s.wanted[text] = struct{}{}
	s.mu.Unlock()
	return tx.PrepareContext(ctx, s.spell(text))
}

// getWanted prepares what transactions have asked for. It is called before one
// begins. A failure is not told: the transaction will meet it too.
func (s *statements) getWanted(ctx context.Context) {
	s.mu.Lock()
	wanted := s.wanted
	s.wanted = map[string]struct{}{}
	s.mu.Unlock()
	for text := range wanted {
		_, _ = s.get(ctx, text) //nolint:sqlclosecheck // kept for the transaction
	}
}

func (s *statements) close() {
	s.byText.Range(func(_, stmt any) bool {
		_ = stmt.(*sql.Stmt).Close()
		return true
	})
}

// statement is a prepared statement of a hot path. The placeholders are ?.
func (q Queries) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if q.tx != nil {
		return q.prepared.within(ctx, q.tx, text)
	}
	return q.prepared.get(ctx, text)
}

// unwatched is the context of a hot statement. On SQLite these are short and wait
// for nothing: readers need no lock, and who writes has it already. The driver
// and database/sql would start a goroutine each to watch for the end of ctx,
// which costs as much as the statement; so it is looked at only before.
func (q Queries) unwatched(ctx context.Context) (context.Context, error) {
	if q.engine != SQLite {
		return ctx, nil
	}
	return context.WithoutCancel(ctx), wrap(ctx.Err())
}

// hot runs a prepared query.
func (q Queries) hot(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	ctx, err := q.unwatched(ctx)
	if err != nil {
		return nil, err
	}
	stmt, err := q.statement(ctx, text) //nolint:sqlclosecheck // kept for the next time, or ends with its transaction
	if err != nil {
		return nil, wrap(err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return rows, wrap(err)
}

// hotRow scans the first row of a prepared query; no row is fault.NotFound.
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

// hotExec runs a prepared statement that changes something.
func (q Queries) hotExec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if err := refuseNUL(args); err != nil {
		return nil, err
	}
	ctx, err := q.unwatched(ctx)
	if err != nil {
		return nil, err
	}
	stmt, err := q.statement(ctx, text) //nolint:sqlclosecheck // kept for the next time, or ends with its transaction
	if err != nil {
		return nil, wrap(err)
	}
	result, err := stmt.ExecContext(ctx, args...)
	return result, wrap(err)
}

var errNUL = errors.New("a text with a NUL byte")

// refuseNUL finds texts that PostgreSQL does not store; what one engine refuses
// the other refuses too.
func refuseNUL(args []any) error {
	for _, arg := range args {
		text, ok := arg.(string)
		if p, isPointer := arg.(*string); isPointer && p != nil {
			text, ok = *p, true
		}
		if ok && strings.IndexByte(text, 0) >= 0 {
			return containsNUL(errNUL)
		}
	}
	return nil
}

// rowsPerInsert bounds the rows of a prepared INSERT, and with them the number
// of statements that are kept: one for each number of rows.
const rowsPerInsert = 16

// insertion is a table that many rows are inserted into, as prepared statements.
type insertion struct {
	columns int
	texts   [rowsPerInsert + 1]string // by number of rows
}

// newInsertion prepares the texts: INSERT INTO table (columns) VALUES (?, …), ….
func newInsertion(table string, columns ...string) *insertion {
	in := &insertion{columns: len(columns)}
	row := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	for n := 1; n <= rowsPerInsert; n++ {
		in.texts[n] = "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + row + strings.Repeat(", "+row, n-1)
	}
	return in
}

// insertRows inserts rows whose values, in the order of the columns, are one
// after the other in values.
func (q Queries) insertRows(ctx context.Context, in *insertion, values []any) error {
	for len(values) > 0 {
		n := min(len(values)/in.columns, rowsPerInsert)
		if _, err := q.hotExec(ctx, in.texts[n], values[:n*in.columns]...); err != nil {
			return err
		}
		values = values[n*in.columns:]
	}
	return nil
}
