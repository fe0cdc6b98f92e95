package vault_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// TestFirstSignInsAtTheSameTime are of one person, from several browsers, on two
// servers: all of them succeed, and there is one account.
func TestFirstSignInsAtTheSameTime(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		servers := []*vault.Vault{h.withSSO(t), h.withSSO(t)}
		for round := range 20 {
			who := vault.SSOIdentity{
				Provider: "https://id.example.com", Subject: fmt.Sprint(round), Email: fmt.Sprintf("person%d@example.com", round), EmailVerified: true,
			}
			var group sync.WaitGroup
			for i := range 8 {
				group.Go(func() {
					if _, err := servers[i%2].FinishSSO(t.Context(), vault.Anonymous(request()), vault.SSOReturn{}, who, true); err != nil {
						t.Errorf("round %d: %s", round, fault.Detail(err))
					}
				})
			}
			group.Wait()
		}
		equal(t, "accounts", h.count(t, "users"), 21) // and ann
		equal(t, "identities", h.count(t, "identities"), 20)
		equal(t, "sessions", h.count(t, "sessions WHERE by_provider"), 160)
	})
}

// withSSO is a server of the house where single sign-on is on.
func (h *house) withSSO(t *testing.T) *vault.Vault {
	t.Helper()
	recorder := store.NewRecorder(h.store)
	t.Cleanup(recorder.Close)
	return must(vault.New(t.Context(), vault.Options{
		Store: h.store, Recorder: recorder, Ring: h.ring, SessionKeys: [][]byte{[]byte("a session key")},
		SSOEnabled: func() bool { return true }, SSOKeys: [][]byte{[]byte("a key of sign-ins")},
	}))
}
