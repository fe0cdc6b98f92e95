package vault_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

var samples = flag.Int("samples", 1, "how often the times of answers are taken")

// TestAnswersThatTellNothing shows how long failed sign-ins and requests for a
// link take, for addresses of every kind in turn: `go test -v -count=1 -run
// AnswersThatTellNothing ./pkg/vault -samples=200`. On an idle machine the medians
// differ by less than five per cent. It asserts nothing about the clock, which on a
// busy machine tells nothing: what is done for each kind is what other tests count.
func TestAnswersThatTellNothing(t *testing.T) {
	t.Parallel()
	kinds := []string{"ann@example.com", "nobody@example.com", "gone@example.com", "sso@example.com"}
	eachHouse(t, func(t *testing.T, h *house) {
		must(h.CreateAdmin(t.Context(), vault.Local(), admin("gone@example.com")))
		h.exec(t, "UPDATE users SET is_active = ? WHERE email = 'gone@example.com'", h.boolean(false))
		must(h.CreateAdmin(t.Context(), vault.Local(), admin("sso@example.com")))
		h.exec(t, "UPDATE users SET password_hash = '' WHERE email = 'sso@example.com'")
		signIns, resets := map[string][]time.Duration{}, map[string][]time.Duration{}
		for range *samples {
			for i, email := range kinds {
				who := fromAddress(fmt.Sprintf("2001:db8:%x::1", i+1))
				who.Request.Origin = "https://secrets.example.com"
				began := time.Now()
				_, _, err := h.Login(t.Context(), who, login(email, "not the passphrase"))
				signIns[email] = append(signIns[email], time.Since(began))
				equal(t, email, err.Error(), "Invalid email or password.")
				began = time.Now()
				if err := h.RequestPasswordReset(t.Context(), who, api.PasswordResetRequest{Email: email}); err != nil {
					t.Error(err)
				}
				resets[email] = append(resets[email], time.Since(began))
			}
			h.exec(t, "DELETE FROM throttles")
		}
		for _, email := range kinds {
			slices.Sort(signIns[email])
			slices.Sort(resets[email])
			t.Logf("%-20s sign-in %v, reset %v", email, signIns[email][*samples/2], resets[email][*samples/2])
		}
	})
}
