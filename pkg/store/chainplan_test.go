package store_test

import (
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/store"
)

// TestAppendingDoesNotReadTheTrail: what an event costs must not grow with the
// trail. PostgreSQL makes a plan for the statement once, without its values, and
// has been seen to choose one that reads the whole table each time.
func TestAppendingDoesNotReadTheTrail(t *testing.T) {
	t.Parallel()
	s := migrated(t, store.Options{Engine: store.PostgreSQL, DSN: heartlocktest.Postgres(t), ConnMaxAge: -1})
	db := s.WriterPool()
	if db == nil {
		db = s.ReaderPool()
	}
	db.SetMaxOpenConns(1) // the settings are those of a session
	for _, statement := range []string{
		`INSERT INTO audit_events (at, actor_kind, actor_id, actor_name, action, outcome, project_id, environment_name, target, detail, ip, user_agent, request_id)
SELECT n, 'user', n::text, '', 'secret.read', 'success', '', '', '', '', '', '', '' FROM generate_series(1, 20000) n`,
		"ANALYZE audit_events",
		"SET plan_cache_mode = force_generic_plan",
		"PREPARE append AS " + s.AppendEvents(),
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%.60s: %v", statement, err)
		}
	}
	values := strings.TrimSuffix(strings.Repeat("NULL, ", strings.Count(s.AppendEvents(), "$")), ", ")
	rows, err := db.QueryContext(t.Context(), "EXPLAIN EXECUTE append("+values+")")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	if strings.Contains(text, "Seq Scan on audit_events") || !strings.Contains(text, "audit_events_pkey") {
		t.Errorf("it reads the trail:\n%s", text)
	}
}
