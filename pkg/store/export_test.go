package store

import "database/sql"

// What the tests, which are in another package, see of the inside.

var (
	Wrap              = wrap
	NumberPlaceholder = numberPlaceholders
	VersionAtLeast    = versionAtLeast
	OldestSQLite      = oldestSQLite
)

func (s *Store) ReaderPool() *sql.DB { return s.readers }
func (s *Store) WriterPool() *sql.DB { return s.writer }

// OnStep sets what is called in the transaction of each migration.
func (s *Store) OnStep(f func(version int)) { s.inStep = f }

// Exec runs a statement in the transaction.
func (tx Tx) Exec(query string, args ...any) (sql.Result, error) {
	return tx.db.(interface {
		Exec(string, ...any) (sql.Result, error)
	}).Exec(query, args...)
}

// Int reads one number.
func (q Queries) Int(query string, args ...any) (n int, err error) {
	err = q.db.(interface {
		QueryRow(string, ...any) *sql.Row
	}).QueryRow(query, args...).Scan(&n)
	return n, err
}

// NotDumped are the tables that a backup does not hold.
var NotDumped = notDumped

// HistoryQueries are the statements of the history, as the engine has them.
func (s *Store) HistoryQueries() map[string]string {
	texts := map[string]string{
		"formerVersions": formerVersions, "oneVersion": oneVersion, "stateAt": stateAt, "revisionAt": revisionAt,
		"changesBetween": changesBetween, "deletedSecrets": deletedSecrets, "outdated": outdated,
	}
	for name, text := range texts {
		texts[name] = s.prepared.spell(text)
	}
	return texts
}

// AppendEvents is the statement that appends to the audit trail, as PostgreSQL
// has it.
func (s *Store) AppendEvents() string { return s.prepared.spell(appendEvents) }

// Enough is how many entries a recorder waits for after so many.
var Enough = enough

// Collected is how many entries a recorder takes at once that wants so many, if n
// wait and then, if it is said so, the recorder is closed.
func Collected(n, wanted int, closes bool) int {
	r := &Recorder{queue: make(chan entry, queueLength)}
	for range n - 1 {
		r.queue <- entry{}
	}
	if closes {
		close(r.queue)
	}
	return len(r.collect(entry{}, wanted))
}
