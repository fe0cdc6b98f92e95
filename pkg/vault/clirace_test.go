package vault_test

import (
	"sync/atomic"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// atTwoServers runs the same exchange many times at once, at two servers.
func atTwoServers(t *testing.T, h *house, other *vault.Vault, in api.CLITokenRequest) []error {
	t.Helper()
	var tries []func() error
	for i := range 8 {
		v := []*vault.Vault{h.Vault, other}[i%2]
		tries = append(tries, func() error {
			_, err := v.ExchangeCLIToken(t.Context(), commandLine(), in)
			return err
		})
	}
	return atOnce(tries...)
}

func TestACodeServesOneOfMany(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		other := must(h.vault(t, h.ring))
		for round := range 20 {
			code := h.agree(t, h.ann, fromLaptop(), 0)
			errs := atTwoServers(t, h, other, api.CLITokenRequest{Code: api.NewValue(code), CodeVerifier: api.NewValue(verifier)})
			oneOf(t, "exchanges of a code", errs, fault.Invalid)
			equal(t, "tokens", h.count(t, "tokens"), round+1)
		}
		equal(t, "recorded", h.count(t, "audit_events WHERE action = 'auth.cli.token'"), 20)
	})
}

func TestADeviceCodeServesOneOfMany(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		other := must(h.vault(t, h.ring))
		for round := range 20 {
			begun := h.beginDevice(t, "")
			if err := h.ApproveDevice(t.Context(), h.ann, begun.UserCode, 0); err != nil {
				t.Fatal(fault.Detail(err))
			}
			oneOf(t, "exchanges of a device code", atTwoServers(t, h, other, api.CLITokenRequest{DeviceCode: begun.DeviceCode}), fault.Invalid)
			equal(t, "tokens", h.count(t, "tokens"), round+1)
		}
	})
}

// TestADecisionIsMadeOnce: of approvals and denials at the same time one counts, and
// the command line learns of that one.
func TestADecisionIsMadeOnce(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		other := must(h.vault(t, h.ring))
		bob := h.welcome(t, "bob@example.com", api.RoleViewer)
		for range 10 {
			begun := h.beginDevice(t, "")
			errs := atOnce(
				func() error { return h.ApproveDevice(t.Context(), h.ann, begun.UserCode, 0) },
				func() error { return other.ApproveDevice(t.Context(), bob, begun.UserCode, 0) },
				func() error { return other.DenyDevice(t.Context(), h.ann, begun.UserCode) },
			)
			oneOf(t, "decisions", errs, fault.NotFound)
			got, err := poll(t, h.Vault, begun)
			if denied := errs[2] == nil; denied {
				hasCode(t, "denied", err, api.ErrorAccessDenied)
			} else if want := map[bool]string{true: "ann@example.com", false: "bob@example.com"}[errs[0] == nil]; err != nil || got.Email != want {
				t.Errorf("approved by %s: a token of %s, %v", want, got.Email, err)
			}
			h.exec(t, "DELETE FROM throttles")
		}
	})
}

// TestExchangesAgainstTheEndOfTheSession: a token is made before the session ends, or
// not at all, and neither waits for the other for ever.
func TestExchangesAgainstTheEndOfTheSession(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		other := must(h.vault(t, h.ring))
		var made atomic.Int64
		for range 10 {
			ann := h.signInAgain(t)
			code, begun := h.agree(t, ann, fromLaptop(), 0), h.beginDevice(t, "")
			if err := h.ApproveDevice(t.Context(), ann, begun.UserCode, 0); err != nil {
				t.Fatal(fault.Detail(err))
			}
			take := func(v *vault.Vault, in api.CLITokenRequest, refusal string) func() error {
				return func() error {
					_, err := v.ExchangeCLIToken(t.Context(), commandLine(), in)
					if err == nil {
						made.Add(1)
						return nil
					}
					hasCode(t, "refused", err, refusal)
					return nil
				}
			}
			errs := atOnce(
				take(h.Vault, api.CLITokenRequest{Code: api.NewValue(code), CodeVerifier: api.NewValue(verifier)}, api.ErrorInvalidGrant),
				take(other, api.CLITokenRequest{DeviceCode: begun.DeviceCode}, api.ErrorExpiredToken),
				func() error { return other.Logout(t.Context(), ann) },
			)
			for _, err := range errs {
				if err != nil {
					t.Error(fault.Detail(err))
				}
			}
			equal(t, "rows that are left", h.loginRows(t), "")
			late := "audit_events a WHERE a.action = 'auth.cli.token' AND a.id > (SELECT MAX(l.id) FROM audit_events l WHERE l.action = 'auth.logout')"
			equal(t, "tokens made after the end", h.count(t, late), 0)
		}
		equal(t, "tokens", int64(h.count(t, "tokens")), made.Load())
	})
}
