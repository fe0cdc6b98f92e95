package vault_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// text is n characters that no other text has.
func text(n, number int) string {
	return strings.Repeat(fmt.Sprintf("value %d ", number), n)[:n]
}

// plant makes secrets of many sizes in an environment, with former versions,
// renamed, deleted and brought back ones.
func (h *house) plant(t *testing.T, e vault.EnvironmentRef) {
	t.Helper()
	sizes := []int{40, 700, 2100, 3000, 9000, 33_000, 60 << 10}
	number := 0
	for round := range 3 {
		for i, size := range sizes {
			for copies := range 4 {
				number++
				value := api.NewValue(text(size-round*17, number))
				_, _, err := h.PutSecret(t.Context(), h.ann, in(e, fmt.Sprintf("K%d_%d", i, copies)), api.PutSecret{Value: &value}, vault.Match{})
				must(0, err)
			}
		}
	}
	must(h.PatchSecret(t.Context(), h.ann, in(e, "K6_0"), api.PatchSecret{Key: ptr("RENAMED")}, vault.Match{}))
	must(0, h.DeleteSecret(t.Context(), h.ann, in(e, "K5_1"), vault.Match{}))
}

// sealedTexts are the ciphertexts of an environment, of all versions.
func (h *house) sealedTexts(t *testing.T, e api.Environment) (texts []string) {
	t.Helper()
	for _, query := range []string{
		"SELECT sealed FROM secrets WHERE sealed IS NOT NULL AND environment_id = '" + e.ID + "'",
		"SELECT v.sealed FROM secret_versions v JOIN secrets s ON s.id = v.secret_id WHERE v.sealed IS NOT NULL AND s.environment_id = '" + e.ID + "'",
	} {
		texts = append(texts, h.column(t, query)...)
	}
	return texts
}

// found counts the pieces of ciphertexts that are in the files of the database.
func (h *house) found(t *testing.T, sealed []string) (pieces int) {
	t.Helper()
	const piece = 32
	wanted := map[string]bool{}
	for _, s := range sealed {
		for i := 20; i+piece <= len(s); i += 256 {
			wanted[s[i:i+piece]] = true
		}
	}
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(h.options.Path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for i := 0; i+piece <= len(data); i++ {
			if wanted[string(data[i:i+piece])] {
				pieces++
			}
		}
	}
	return pieces
}

// TestDeletedValuesAreInNoFile plants values, changes them, and deletes the
// environment or the project: nothing of a ciphertext may be left in the file of
// the database or in its log, while the server runs on.
func TestDeletedValuesAreInNoFile(t *testing.T) {
	t.Parallel()
	for what, remove := range map[string]func(t *testing.T, h *house){
		"environment": func(t *testing.T, h *house) { must(0, h.DeleteEnvironment(t.Context(), h.ann, development)) },
		"project":     func(t *testing.T, h *house) { must(0, h.DeleteProject(t.Context(), h.ann, "shop")) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			eachHouse(t, func(t *testing.T, h *house) {
				if h.options.Engine != store.SQLite {
					return // there the server's VACUUM does it
				}
				h.plant(t, development)
				sealed := h.sealedTexts(t, must(h.Environment(t.Context(), h.ann, development)))
				if h.found(t, sealed) == 0 {
					t.Fatal("the ciphertexts are not found even before they are deleted")
				}
				remove(t, h)
				if n := h.found(t, sealed); n != 0 {
					t.Errorf("%d pieces of deleted ciphertexts are left in the files", n)
				}
			})
		})
	}
}

// everywhere lists the rows of all tables, but for the audit trail, that hold
// one of the texts or of the numbers of secrets in any column.
func (h *house) everywhere(t *testing.T, texts []string, secretIDs []int64) (found []string) {
	t.Helper()
	tables := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	if h.options.Engine == store.PostgreSQL {
		tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
	}
	names := h.column(t, tables)
	if len(names) < 12 {
		t.Fatalf("only the tables %v", names)
	}
	for _, name := range names {
		if name == "audit_events" {
			continue
		}
		rows := must(h.sql.QueryContext(t.Context(), "SELECT * FROM "+name))
		columns := must(rows.Columns())
		for rows.Next() {
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			must(0, rows.Scan(targets...))
			for i, value := range values {
				isSecret := name == "secrets" && columns[i] == "id" || columns[i] == "secret_id"
				number, _ := value.(int64)
				if isSecret && slices.Contains(secretIDs, number) ||
					slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(fmt.Sprintf("%s", value), text) }) {
					found = append(found, name+"."+columns[i])
				}
			}
		}
		must(0, errors.Join(rows.Err(), rows.Close()))
	}
	return found
}

// column is the first column of a query.
func (h *house) column(t *testing.T, query string) (texts []string) {
	t.Helper()
	rows := must(h.sql.QueryContext(t.Context(), query))
	for rows.Next() {
		var text string
		must(0, rows.Scan(&text))
		texts = append(texts, text)
	}
	must(0, errors.Join(rows.Err(), rows.Close()))
	return texts
}

// TestNoRowOfWhatWasDeletedIsLeft looks for the ids of a project and of an
// environment in every table that there is, so also in those to come.
func TestNoRowOfWhatWasDeletedIsLeft(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.plant(t, development)
		h.service(t, api.AccessRead, "development")
		h.service(t, api.AccessRead, "staging")
		project := must(h.Project(t.Context(), h.ann, "shop"))
		environment := must(h.Environment(t.Context(), h.ann, development))
		ids := []string{environment.ID}
		var secretIDs []int64
		for _, id := range h.column(t, "SELECT CAST(id AS TEXT) FROM secrets") {
			secretIDs = append(secretIDs, must(strconv.ParseInt(id, 10, 64)))
		}
		for _, table := range []string{"environments.id", "secrets.environment_id", "secret_versions.secret_id", "token_environments.environment_id"} {
			if found := h.everywhere(t, ids, secretIDs); !slices.Contains(found, table) {
				t.Errorf("%s does not hold what is to be deleted; this test would not see it", table)
			}
		}
		must(0, h.DeleteEnvironment(t.Context(), h.ann, development))
		if found := h.everywhere(t, ids, secretIDs); len(found) != 0 {
			t.Errorf("rows of the environment are left: %v", found)
		}

		ids = append(h.column(t, "SELECT id FROM environments"), project.ID)
		must(0, h.DeleteProject(t.Context(), h.ann, "shop"))
		if found := h.everywhere(t, ids, secretIDs); len(found) != 0 {
			t.Errorf("rows of the project are left: %v", found)
		}
	})
}

// TestPrunedValuesAreInNoFile is the same for what retention removes; what stays
// must not be touched.
func TestPrunedValuesAreInNoFile(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		if p.options.Engine != store.SQLite {
			return // there the server's VACUUM does it
		}
		p.retention = vault.Retention{Versions: 1}
		h := p.house(t)
		h.plant(t, development)
		environment := must(h.Environment(t.Context(), h.ann, development))
		before := h.sealedTexts(t, environment)
		must(0, h.Maintain(t.Context()))
		kept := h.sealedTexts(t, environment)
		gone := slices.DeleteFunc(before, func(s string) bool { return slices.Contains(kept, s) })
		if len(gone) == 0 || len(kept) == 0 {
			t.Fatalf("%d ciphertexts are gone, %d kept", len(gone), len(kept))
		}
		if n := h.found(t, gone); n != 0 {
			t.Errorf("%d pieces of removed ciphertexts are left in the files", n)
		}
		if h.found(t, kept) == 0 {
			t.Error("what is kept is not in the files")
		}
	})
}
