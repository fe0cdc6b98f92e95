package vault_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// Who steals a personal token for a day makes a service token with it, to stay.
func TestAServiceTokenDoesNotOutliveThePersonalTokenThatMakesIt(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		end := time.Now().Add(24 * time.Hour)
		stolen := must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "a day", ExpiresAt: &end}))
		thief := must(h.IdentifyToken(t.Context(), stolen.Token.Reveal(), request()))
		later, sooner := end.Add(time.Hour), end.Add(-time.Hour)
		ask := func(p vault.Principal, expires *time.Time) error {
			_, err := h.CreateServiceToken(t.Context(), p, "shop", api.CreateServiceToken{
				Name: "ci", Environments: []string{"production"}, Access: api.AccessRead, ExpiresAt: expires,
			})
			return err
		}
		isKind(t, "a token for ever", ask(thief, nil), fault.Invalid)
		isKind(t, "a token for longer", ask(thief, &later), fault.Invalid)
		equal(t, "tokens of the project", h.count(t, "tokens WHERE project_id IS NOT NULL"), 0)
		for what, err := range map[string]error{"a shorter one": ask(thief, &sooner), "one by a session": ask(h.ann, nil)} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// After a leak, the trail has to tell the thief's doings from the owner's.
func TestTheTrailTellsWhatAnInvestigationNeeds(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		own := must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "laptop"}))
		byToken := must(h.IdentifyToken(t.Context(), own.Token.Reveal(), request()))
		env := vault.EnvironmentRef{Project: "shop", Environment: "production"}
		protected, slug := true, "live"
		must(h.UpdateEnvironment(t.Context(), byToken, env, api.UpdateEnvironment{Protected: &protected, Slug: &slug}))
		ci := must(h.CreateServiceToken(t.Context(), h.ann, "shop", api.CreateServiceToken{
			Name: "ci", Environments: []string{slug}, Access: api.AccessRead, AllowedCIDRs: []string{"10.0.0.0/8"},
		}))
		elsewhere := request()
		elsewhere.IP = netip.MustParseAddr("192.0.2.66")
		_, err := h.IdentifyToken(t.Context(), ci.Token.Reveal(), elsewhere)
		isKind(t, "a token at a wrong address", err, fault.Forbidden)

		trail := func(action string) api.AuditEvent {
			t.Helper()
			page := must(h.Audit(t.Context(), h.ann, "shop", vault.AuditQuery{Action: action}))
			if len(page.Results) == 0 {
				t.Fatalf("nothing of %s in the trail", action)
			}
			return page.Results[0]
		}
		equal(t, "environment.update: credential", trail("environment.update").Credential, "token:"+own.ID)
		changed := trail("environment.update").Detail
		for name, want := range map[string]string{
			"protected": "true", "former_protected": "false", "slug": "live", "former_slug": "production",
		} {
			equal(t, "environment.update: "+name, changed[name], want)
		}
		made := trail("token.create")
		equal(t, "token.create: id", made.Detail["id"], ci.ID)
		equal(t, "token.create: networks", made.Detail["allowed_cidrs"], "10.0.0.0/8")
		if !strings.HasPrefix(made.Credential, "session:") {
			t.Errorf("token.create by a session: credential %q", made.Credential)
		}
		refused := trail("token.use")
		equal(t, "token.use: outcome", refused.Outcome, "refused")
		equal(t, "token.use: address", refused.IP, "192.0.2.66")
		equal(t, "token.use: credential", refused.Credential, "token:"+ci.ID)
	})
}
