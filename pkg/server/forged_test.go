package server_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/server"
)

// content is a backup in memory.
type content struct {
	manifest backup.Manifest
	columns  map[string][]backup.Column
	rows     map[string][][]any
}

func readContent(t *testing.T, path string, key keyring.Key) *content {
	t.Helper()
	file := must(os.Open(path))
	defer func() { _ = file.Close() }()
	r := must(backup.NewReader(file, backup.Opener{Keys: []keyring.Key{key}}))
	c := &content{r.Manifest(), map[string][]backup.Column{}, map[string][][]any{}}
	for {
		table, columns, err := r.NextTable()
		if errors.Is(err, io.EOF) {
			return c
		}
		c.columns[table.Name] = columns
		for err == nil {
			row := make([]any, len(columns))
			if err = r.Row(row); err == nil {
				c.rows[table.Name] = append(c.rows[table.Name], row)
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

// set changes a column of the first row of a table.
func (c *content) set(table, column string, value any) {
	c.rows[table][0][c.index(table, column)] = value
}

func (c *content) index(table, column string) int {
	return slices.IndexFunc(c.columns[table], func(c backup.Column) bool { return c.Name == column })
}

// again adds the first row of a table once more.
func (c *content) again(table string) {
	c.rows[table] = append(c.rows[table], slices.Clone(c.rows[table][0]))
}

func (c *content) remove(table string) {
	c.manifest.Tables = slices.DeleteFunc(c.manifest.Tables, func(t backup.Table) bool { return t.Name == table })
}

// write makes a file of it that is right in all its sums.
func (c *content) write(t *testing.T, key keyring.Key) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "forged.backup")
	file := must(os.Create(path))
	for i, table := range c.manifest.Tables {
		c.manifest.Tables[i].Rows = int64(len(c.rows[table.Name]))
	}
	w := must(backup.NewWriter(file, c.manifest, backup.Encryption{Key: key}))
	for _, table := range c.manifest.Tables {
		err := w.Table(table.Name, c.columns[table.Name])
		for _, row := range c.rows[table.Name] {
			err = errors.Join(err, w.Row(row))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAForgedBackupLeavesNothing restores files that somebody with the key has
// made, whose rows the schema does not allow.
func TestAForgedBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	path, key := filled(t, 3)
	forgeries := map[string]func(c *content){
		"a reference to nothing":     func(c *content) { c.set("secrets", "environment_id", "nowhere") },
		"an id twice":                func(c *content) { c.again("users") },
		"an event twice":             func(c *content) { c.again("audit_events") },
		"nothing where something is": func(c *content) { c.set("users", "email", nil) },
		"a role that there is not":   func(c *content) { c.set("memberships", "role", "king") },
		"two instances":              func(c *content) { c.again("instance"); c.rows["instance"][1][0] = int64(2) },
		"a key twice": func(c *content) {
			c.manifest.Keys = append(c.manifest.Keys, backup.KnownKey{Fingerprint: "00000000"}, backup.KnownKey{Fingerprint: "00000000"})
		},
		"without a table":   func(c *content) { c.remove("token_environments") },
		"without the users": func(c *content) { c.remove("users") },
		"a session": func(c *content) {
			c.manifest.Tables = append(c.manifest.Tables, backup.Table{Name: "sessions"})
			c.columns["sessions"] = []backup.Column{{Name: "id", Kind: backup.Text}}
		},
		"another column": func(c *content) { c.columns["instance"][1].Name = "offboarded_at" },
		"one column less": func(c *content) {
			c.columns["token_environments"] = c.columns["token_environments"][:1]
		},
		"another kind": func(c *content) {
			c.columns["instance"][1].Kind = backup.Text
			c.set("instance", "onboarded_at", "1")
		},
	}
	for name, forge := range forgeries {
		for _, engine := range []string{"sqlite", "postgres"} {
			t.Run(name+" on "+engine, func(t *testing.T) {
				t.Parallel()
				var environ []string
				if engine == "postgres" {
					environ = []string{"DATABASE_URL=" + heartlocktest.Postgres(t)}
				}
				c := readContent(t, path, key)
				forge(c)
				cfg := settings(t, key, environ...)
				_, err := restored(t.Context(), cfg, c.write(t, key), nil)
				if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "does not fit the schema that it names. Nothing was written.") {
					t.Errorf("%v", err)
				}
				st := must(server.OpenStore(t.Context(), cfg))
				empty, err := st.HoldsNothing(t.Context())
				if err := errors.Join(err, st.Close()); err != nil || !empty {
					t.Errorf("something is left: %v", err)
				}
				if _, err := restored(t.Context(), cfg, path, nil); err != nil {
					t.Errorf("the right one, afterwards: %v", fault.Detail(err))
				}
			})
		}
	}
}
