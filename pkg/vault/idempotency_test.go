package vault_test

import (
	"bytes"
	"testing"

	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// withKeys is a vault over the same database with these keys of sessions.
func (h *house) withKeys(t *testing.T, keys ...string) *vault.Vault {
	t.Helper()
	recorder := store.NewRecorder(h.store)
	t.Cleanup(recorder.Close)
	o := vault.Options{Store: h.store, Recorder: recorder, Ring: h.ring}
	for _, key := range keys {
		o.SessionKeys = append(o.SessionKeys, []byte(key))
	}
	return must(vault.New(t.Context(), o))
}

// A request that creates an account may hold a password. What is remembered of it
// must not let a thief of the database guess that faster than its hash does.
func TestWhatIsRememberedOfARequestIsKeyed(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		id, _ := h.person(t, "bob@example.com", false)
		ann := reachable(h.ann)
		digest := func(key string) (sum []byte) {
			t.Helper()
			if err := h.sql.QueryRowContext(t.Context(), "SELECT request_digest FROM idempotency_keys WHERE key = '"+key+"'").Scan(&sum); err != nil {
				t.Fatal(err)
			}
			return sum
		}
		ann.Request.IdempotencyKey = "first"
		first := must(h.withKeys(t, "one").ResetUserPassword(t.Context(), ann, id))
		ann.Request.IdempotencyKey = "second"
		must(h.withKeys(t, "two").ResetUserPassword(t.Context(), ann, id))
		if bytes.Equal(digest("first"), digest("second")) {
			t.Error("the digest of a request can be made without a key of the server")
		}
		ann.Request.IdempotencyKey = "first"
		again := must(h.withKeys(t, "two", "one").ResetUserPassword(t.Context(), ann, id))
		if !again.Link.Equal(*first.Link) {
			t.Error("after a change of the key a repeated request is a new one")
		}
	})
}
