package vault_test

import (
	"fmt"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// More versions have had their time than one transaction removes, in several
// secrets: the removal goes on until all of them are gone, and says once how many
// they were.
func TestRetentionGoesOnUntilAllIsRemoved(t *testing.T) {
	t.Parallel()
	eachDiary(t, vault.Retention{Versions: 5}, func(t *testing.T, d *diary) {
		const many = 450 // of A: two batches and a half
		d.put(t, "A", "value")
		d.put(t, "FEW", "one")
		d.put(t, "FEW", "two")
		for i := range 8 {
			d.put(t, "B", fmt.Sprint(i))
		}
		d.exec(t, `UPDATE secrets SET version = 451, revision = 461 WHERE key = 'A'`)
		d.exec(t, `UPDATE environments SET revision = 461 WHERE slug = 'development'`)
		for i := 1; i <= many; i++ {
			d.exec(t, fmt.Sprintf(`INSERT INTO secret_versions
				SELECT id, %d, key, comment, sealed, key_fingerprint, %d, updated_at, updated_by_kind, updated_by_id, updated_by_name
				FROM secrets WHERE key = 'A'`, i, i+10))
		}
		if err := d.Maintain(t.Context()); err != nil {
			t.Fatal(fault.Detail(err))
		}
		for key, want := range map[string]int{"A": 5, "B": 5, "FEW": 1} {
			equal(t, "former versions of "+key, d.count(t, "secret_versions WHERE key = '"+key+"'"), want)
		}
		equal(t, "the newest of A stay", d.count(t, "secret_versions WHERE key = 'A' AND version BETWEEN 446 AND 450"), 5)
		equal(t, "the history is kept from", d.count(t, "environments WHERE history_from = 456"), 1)
		equal(t, "events", d.count(t, `audit_events WHERE action = 'environment.history.prune' AND detail LIKE '%"versions":"447"%'`), 1)
		equal(t, "all events", d.count(t, `audit_events WHERE action = 'environment.history.prune'`), 1)
		equal(t, "value", d.get(t, "A"), "value")
	})
}
