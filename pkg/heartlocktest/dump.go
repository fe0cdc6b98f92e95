//go:build unix

package heartlocktest

import (
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// volatile are the columns that change without a change of anybody's data: when
// a credential was used last, when a server has reported last and by which settings
// it went then, and how far a mail has come that was queued before.
var volatile = []string{
	"last_used_at", "last_used_ip", "last_seen_at", "seen_at",
	"servers.config_generation", "servers.settings_generation",
	"mail_queue.sealed", "mail_queue.next_attempt_at", "mail_queue.attempts", "mail_queue.last_error", "mail_queue.sent_at", "mail_queue.given_up_at",
}

// Dump is every row of every table of the server's database as text, the audit
// trail included.
func (s *Server) Dump() string {
	s.tb.Helper()
	return s.dump(nil, nil)
}

// State is Dump without what a refused request may change: the audit trail, the
// counts of wrong guesses, and when credentials were used last.
func (s *Server) State() string {
	s.tb.Helper()
	return s.dump([]string{"audit_events", "audit_chain", "throttles"}, volatile)
}

// Count is the number of rows of a table that meet the condition.
func (s *Server) Count(table, condition string) (n int) {
	s.tb.Helper()
	db := s.database()
	if err := db.QueryRow("SELECT COUNT(*) FROM " + table + " WHERE " + condition).Scan(&n); err != nil {
		s.tb.Fatal(err)
	}
	return n
}

// Exec runs a statement on the server's database.
func (s *Server) Exec(statement string) {
	s.tb.Helper()
	db := s.database()
	if _, err := db.Exec(statement); err != nil {
		s.tb.Fatalf("%s: %v", statement, err)
	}
}

// database is a connection to the server's database beside the server.
func (s *Server) database() *sql.DB {
	s.tb.Helper()
	if s.sql != nil {
		return s.sql
	}
	driver, source := "sqlite", "file:"+s.sqlitePath()+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"
	if s.DatabaseURL != "" {
		driver, source = "pgx", s.DatabaseURL
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		s.tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	s.sql = db
	return db
}

func (s *Server) tables(db *sql.DB) []string {
	s.tb.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	if s.DatabaseURL != "" {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	}
	rows, err := db.Query(query)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			s.tb.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil || len(names) == 0 {
		s.tb.Fatalf("no tables: %v", err)
	}
	slices.Sort(names)
	return names
}

func (s *Server) dump(exceptTables, exceptColumns []string) string {
	s.tb.Helper()
	db := s.database()
	var out strings.Builder
	for _, table := range s.tables(db) {
		if slices.Contains(exceptTables, table) {
			continue
		}
		lines := s.rowsOf(db, table, exceptColumns)
		slices.Sort(lines)
		fmt.Fprintf(&out, "== %s\n%s\n", table, strings.Join(lines, "\n"))
	}
	return out.String()
}

func appendValue(line []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return append(line, v...)
	case []byte:
		return hex.AppendEncode(line, v)
	case int64:
		return strconv.AppendInt(line, v, 10)
	}
	return fmt.Append(line, value)
}

func (s *Server) rowsOf(db *sql.DB, table string, except []string) (lines []string) {
	s.tb.Helper()
	rows, err := db.Query("SELECT * FROM " + table)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		s.tb.Fatal(err)
	}
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	left := make([]bool, len(columns)) // out
	for i := range values {
		targets[i] = &values[i]
		left[i] = slices.Contains(except, columns[i]) || slices.Contains(except, table+"."+columns[i])
	}
	var line []byte
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			s.tb.Fatal(err)
		}
		line = line[:0]
		for i, v := range values {
			if !left[i] {
				line = appendValue(append(append(line, columns[i]...), '='), v)
				line = append(line, '|')
			}
		}
		lines = append(lines, string(line))
	}
	if err := rows.Err(); err != nil {
		s.tb.Fatal(err)
	}
	return lines
}
