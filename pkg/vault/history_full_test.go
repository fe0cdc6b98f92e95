package vault_test

import (
	"fmt"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

// Restoring is bound by what an environment holds and not by what a request may
// name: an environment that is full, and all of whose keys are others than they
// were, goes back in one revision, and so does one that was emptied.
func TestAFullEnvironmentIsRestored(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		const full, bulks = api.MaxSecretsPerEnvironment, api.MaxSecretsPerEnvironment / api.MaxSecretsPerBulk
		for i := range bulks {
			set := map[string]api.Value{}
			for k := range api.MaxSecretsPerBulk {
				set[fmt.Sprintf("K%d_%d", i, k)] = api.NewValue(fmt.Sprint(i, k))
			}
			must(h.Bulk(t.Context(), h.ann, development, api.BulkRequest{Set: set}, vault.Match{}))
		}
		before := stateOf(must(h.SecretsWithValues(t.Context(), h.ann, development)))
		h.exec(t, fmt.Sprintf("UPDATE secrets SET version = 2, revision = %d", bulks+1))
		h.exec(t, `INSERT INTO secret_versions
			SELECT id, 1, key, comment, sealed, key_fingerprint, 1, updated_at, updated_by_kind, updated_by_id, updated_by_name FROM secrets`)
		h.exec(t, "UPDATE secrets SET key = 'X' || key")
		h.exec(t, fmt.Sprintf("UPDATE environments SET revision = %d WHERE slug = 'development'", bulks+1))
		restore := func(to, created, deleted int) {
			t.Helper()
			result := must(h.Restore(t.Context(), h.ann, development, api.RestoreRequest{Revision: ptr(int64(to))}, vault.Match{}))
			equal(t, "created and deleted", []int{len(result.Created), len(result.Deleted)}, []int{created, deleted})
		}
		restore(bulks, full, full)
		restore(0, 0, full)
		restore(bulks, full, 0)
		equal(t, "the state", stateOf(must(h.SecretsWithValues(t.Context(), h.ann, development))), before)
		equal(t, "the revision", must(h.Environment(t.Context(), h.ann, development)).Revision, int64(bulks+4))
	})
}
