package vault_test

import (
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// TestANewPasswordRevokesTokensIfWanted: who chooses one because somebody else has
// been in his account wants nothing left of him; everybody else keeps his tokens.
func TestANewPasswordRevokesTokensIfWanted(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		var texts []string
		create := func(p vault.Principal, name string) {
			texts = append(texts, must(h.CreateOwnToken(t.Context(), p, api.CreatePersonalToken{Name: name})).Token.Reveal())
		}
		_, bob := h.person(t, "bob@example.com", false)
		create(bob, "bob's")
		service := h.service(t, api.AccessRead, "development")
		check := func(what string, valid ...bool) {
			t.Helper()
			for i, want := range valid {
				if _, err := h.IdentifyToken(t.Context(), texts[i], request()); (err == nil) != want {
					t.Errorf("%s: token %d: %v", what, i, err)
				}
			}
		}
		create(h.ann, "laptop")
		create(h.ann, "ci")
		change := api.ChangePassword{CurrentPassword: api.NewValue(password), NewPassword: api.NewValue(chosen)}
		token := must(h.ChangePassword(t.Context(), h.ann, change))
		check("changed", true, true, true)
		h.ann = must(h.IdentifySession(t.Context(), token.Reveal(), request()))
		change = api.ChangePassword{CurrentPassword: api.NewValue("wrong"), NewPassword: api.NewValue(password), RevokeTokens: true}
		_, err := h.ChangePassword(t.Context(), h.ann, change)
		isKind(t, "with a wrong password", err, fault.Invalid)
		check("not changed", true, true, true)
		change.CurrentPassword = api.NewValue(chosen)
		token = must(h.ChangePassword(t.Context(), h.ann, change))
		check("changed and revoked", true, false, false)
		equal(t, "audited", h.count(t, "audit_events WHERE action = 'auth.token.revoke'"), 2)

		create(must(h.IdentifySession(t.Context(), token.Reveal(), request())), "desktop")
		link := h.askForReset(t, "ann@example.com", "ann@example.com")[0]
		in := api.PasswordResetConfirm{Token: api.NewValue(link), NewPassword: api.NewValue(chosen), RevokeTokens: true}
		if err := h.ConfirmPasswordReset(t.Context(), onSite(), in); err != nil {
			t.Fatal(err)
		}
		check("reset and revoked", true, false, false, false)
		h.signedInBy(t, service)
	})
}
