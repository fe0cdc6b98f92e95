package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// ColumnKind is what a column holds, whatever the engine calls it.
type ColumnKind string

// The kinds, with the Go type of their values. On SQLite a BoolColumn is an
// INTEGER.
const (
	TextColumn  ColumnKind = "text"  // string
	IntColumn   ColumnKind = "int"   // int64
	BoolColumn  ColumnKind = "bool"  // bool
	BytesColumn ColumnKind = "bytes" // []byte
)

// Column is a column of a table.
type Column struct {
	Name string
	Kind ColumnKind
}

// Table is a table as it is backed up.
type Table struct {
	Name    string
	Columns []Column

	key      string // its primary key: the order of its rows
	identity bool   // the engine counts its id
}

// dumpTables is the one list of what a backup holds, in an order in which no row
// refers to a later table. A test compares it with the schema of both engines.
func dumpTables() []Table {
	return []Table{
		{Name: "instance", key: "id", Columns: columns("id int", "onboarded_at int")},
		{Name: "users", key: "id", Columns: columns("id text", "email text", "first_name text", "last_name text",
			"password_hash text", "is_active bool", "is_superuser bool", "created_at int", "updated_at int", "last_login_at int")},
		{Name: "projects", key: "id", Columns: columns("id text", "slug text", "name text", "description text", "created_at int", "updated_at int")},
		{Name: "memberships", key: "project_id, user_id", Columns: columns("project_id text", "user_id text", "role text", "created_at int", "environment_limits text")},
		{Name: "environments", key: "id", Columns: columns("id text", "project_id text", "slug text", "name text", "position int",
			"is_protected bool", "revision int", "secret_count int", "created_at int", "updated_at int", "history_from int")},
		{Name: "secrets", key: "id", identity: true, Columns: columns("id int", "environment_id text", "key text", "version int", "comment text",
			"sealed text", "key_fingerprint text", "revision int", "created_at int", "updated_at int",
			"updated_by_kind text", "updated_by_id text", "updated_by_name text")},
		{Name: "secret_versions", key: "secret_id, version", Columns: columns("secret_id int", "version int", "key text", "comment text",
			"sealed text", "key_fingerprint text", "revision int", "updated_at int",
			"updated_by_kind text", "updated_by_id text", "updated_by_name text")},
		{Name: "tokens", key: "id", Columns: columns("id text", "digest bytes", "prefix text", "name text", "user_id text", "project_id text",
			"access text", "allowed_cidrs text", "created_at int", "created_by_kind text", "created_by_id text", "created_by_name text",
			"expires_at int", "last_used_at int", "last_used_ip text", "exposed_at int", "expiry_told_at int")},
		{Name: "token_environments", key: "token_id, environment_id", Columns: columns("token_id text", "environment_id text")},
		{Name: "audit_events", key: "id", identity: true, Columns: columns("id int", "at int", "actor_kind text", "actor_id text", "actor_name text",
			"action text", "outcome text", "project_id text", "environment_name text", "target text", "detail text",
			"ip text", "user_agent text", "request_id text", "credential text", "mac bytes")},
		{Name: "audit_chain", key: "id", Columns: columns("id int", "first_id int", "first_mac bytes", "last_id int", "last_mac bytes",
			"head_mac bytes", "sealed text", "key_fingerprint text")},
		{Name: "invitations", key: "id", Columns: columns("id text", "project_id text", "email text", "role text", "environment_limits text",
			"digest bytes", "mailed_digest bytes", "invited_by text", "created_at int", "sent_at int", "expires_at int", "accepted_at int", "revoked_at int")},
		{Name: "identities", key: "provider, subject", Columns: columns("provider text", "subject text", "user_id text", "email text",
			"created_at int", "last_login_at int")},
		{Name: "second_factors", key: "user_id", Columns: columns("user_id text", "sealed text", "key_fingerprint text", "created_at int",
			"confirmed_at int", "last_step int")},
		{Name: "recovery_codes", key: "user_id, digest", Columns: columns("user_id text", "digest bytes", "used_at int")},
		{Name: "settings", key: "id", Columns: columns("id int", "generation int", "sealed text", "key_fingerprint text", "updated_at int")},
	}
}

// notDumped are the tables that a backup does not hold, and why.
func notDumped() map[string]string {
	return map[string]string{
		"sessions":          "who sits at a browser signs in again",
		"idempotency_keys":  "answers to requests that are repeated within a day at most",
		"servers":           "the servers that run now",
		"key_rotation":      "a restored database is under one key",
		"backups":           "what was made of this database, not of the restored one",
		"sign_in_attempts":  "browsers that are away at an identity provider for minutes",
		"password_resets":   "links that work for an hour",
		"cli_logins":        "sign-ins of the command line that work for a minute",
		"device_logins":     "sign-ins of the command line that wait for minutes",
		"throttles":         "failed attempts of the last minutes",
		"sign_in_places":    "who signs in again is told so",
		"mail_queue":        "mail of the past; it is not sent again",
		"schema_migrations": "written by the migrations",
		"encryption_keys":   "written anew by the restore; the backup's manifest names them",
	}
}

// columns reads "name kind".
func columns(texts ...string) []Column {
	list := make([]Column, len(texts))
	for i, text := range texts {
		name, kind, _ := strings.Cut(text, " ")
		list[i] = Column{name, ColumnKind(kind)}
	}
	return list
}

// DumpTables lists the tables that a backup of the present schema holds, in an
// order in which no row refers to a later table.
func DumpTables() []Table { return dumpTables() }

func (t Table) columnNames() string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// BeginDump prepares the transaction of a Snapshot for reading whole tables: it
// takes away PostgreSQL's limits on how long that may take.
func (q Queries) BeginDump(ctx context.Context) error { return q.withoutLimits(ctx) }

// withoutLimits lets a transaction take its time, where the engine would end it.
func (q Queries) withoutLimits(ctx context.Context) error {
	if q.engine != PostgreSQL {
		return nil
	}
	for _, name := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if _, err := q.db.ExecContext(ctx, "SET LOCAL "+name+" = 0"); err != nil {
			return wrap(err)
		}
	}
	return nil
}

// CountRows is the number of rows of a table.
func (q Queries) CountRows(ctx context.Context, t Table) (n int64, err error) {
	err = q.db.QueryRowContext(ctx, "SELECT count(*) FROM "+t.Name).Scan(&n)
	return n, wrap(err)
}

// EachRow calls do with every row of a table in the order of its primary key,
// which is the same on both engines. The values are those of the columns, of the
// type of their kind or nil; they are valid until do returns.
func (q Queries) EachRow(ctx context.Context, t Table, do func(values []any) error) error {
	rows, err := q.db.QueryContext(ctx, "SELECT "+t.columnNames()+" FROM "+t.Name+" ORDER BY "+t.key)
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = rows.Close() }()
	values, targets := make([]any, len(t.Columns)), make([]any, len(t.Columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := scanRow(rows, t, values, targets); err != nil {
			return err
		}
		if err := do(values); err != nil {
			return err
		}
	}
	return wrap(rows.Err())
}

func scanRow(rows *sql.Rows, t Table, values, targets []any) error {
	if err := rows.Scan(targets...); err != nil {
		return wrap(err)
	}
	for i, c := range t.Columns {
		if n, isInt := values[i].(int64); isInt && c.Kind == BoolColumn {
			values[i] = n != 0
		}
		if !c.Kind.fits(values[i]) {
			return fmt.Errorf("column %s.%s holds a %T", t.Name, c.Name, values[i])
		}
	}
	return nil
}

// fits reports whether a value is nil or of the type of the kind.
func (k ColumnKind) fits(value any) bool {
	switch value.(type) {
	case nil:
		return true
	case string:
		return k == TextColumn
	case int64:
		return k == IntColumn
	case bool:
		return k == BoolColumn
	case []byte:
		return k == BytesColumn
	}
	return false
}

// HoldsNothing reports whether no table that a backup holds has a row.
func (q Queries) HoldsNothing(ctx context.Context) (bool, error) {
	parts := make([]string, 0, len(dumpTables()))
	for _, t := range dumpTables() {
		there, err := q.columnsOf(ctx, t.Name)
		if err != nil {
			return false, err
		}
		if len(there) > 0 {
			parts = append(parts, "EXISTS (SELECT 1 FROM "+t.Name+")")
		}
	}
	if len(parts) == 0 {
		return true, nil
	}
	var some bool
	err := q.db.QueryRowContext(ctx, "SELECT "+strings.Join(parts, " OR ")).Scan(&some)
	return !some, wrap(err)
}

// columnsOf lists the columns that a table has in the database; none if there is
// no such table.
func (q Queries) columnsOf(ctx context.Context, table string) (map[string]bool, error) {
	query := "SELECT name FROM pragma_table_info(?)"
	if q.engine == PostgreSQL {
		query = "SELECT column_name FROM information_schema.columns WHERE table_name = ? AND table_schema = ANY (current_schemas(false))"
	}
	rows, err := q.db.QueryContext(ctx, query, table)
	if err != nil {
		return nil, wrap(err)
	}
	defer func() { _ = rows.Close() }()
	names := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, wrap(err)
		}
		names[name] = true
	}
	return names, wrap(rows.Err())
}
