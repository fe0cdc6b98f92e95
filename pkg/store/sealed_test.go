package store

import (
	"path/filepath"
	"slices"
	"testing"
)

// A table that gets a sealed column later has to be in the list of what a
// rotation goes through.
func TestTheListOfSealedTablesIsThatOfTheSchema(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "db.sqlite3")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := s.readers.QueryContext(t.Context(), `
SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
WHERE m.type = 'table' AND (c.name LIKE '%sealed%' OR c.name LIKE '%key_fingerprint' OR c.name LIKE '%token%')`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var found []string
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		switch table + "." + column {
		case "encryption_keys.check_token", // stays under its own key
			"token_environments.token_id": // an id
			continue
		}
		found = append(found, table)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	want := SealedTables()
	slices.Sort(want)
	slices.Sort(found)
	if found = slices.Compact(found); !slices.Equal(found, want) {
		t.Errorf("the schema seals in %v, the list says %v", found, want)
	}
}
