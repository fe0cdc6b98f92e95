package vault_test

import (
	"bytes"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
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

// Who repeats a request after he has lost the right to it, or to see what came of
// it, does not get the answer of that time.
func TestARepeatedRequestOutlivesNoRight(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		bob, bobID := h.colleague(t, "bob", api.RoleAdmin)
		bob = reachable(bob)
		tries := map[string]func(p vault.Principal) error{
			"token": func(p vault.Principal) error {
				_, err := h.CreateServiceToken(ctx, p, "shop", api.CreateServiceToken{Name: "ci", Environments: []string{"staging"}, Access: api.AccessRead})
				return err
			},
			"invitation": func(p vault.Principal) error {
				_, err := h.CreateInvitation(ctx, p, "shop", api.CreateInvitation{Email: "eve@example.com", Role: api.RoleViewer})
				return err
			},
			"environment": func(p vault.Principal) error {
				_, err := h.CreateEnvironment(ctx, p, "shop", api.CreateEnvironment{Name: "Preview"})
				return err
			},
			"project": func(p vault.Principal) error {
				_, err := h.CreateProject(ctx, p, api.CreateProject{Name: "Lab"})
				return err
			},
		}
		repeat := func(what string, want map[string]fault.Kind) {
			t.Helper()
			for name, try := range tries {
				p := bob
				p.Request.IdempotencyKey = name
				err := try(p)
				if kind, fails := want[name]; !fails {
					must(0, err)
				} else {
					isKind(t, what+": "+name, err, kind)
				}
			}
		}
		repeat("at first", nil)
		before := h.dump(t)
		repeat("again", nil)
		equal(t, "the database", h.dump(t), before)

		must(0, h.setRole(t, h.ann, bobID, api.RoleMember))
		repeat("as a member", map[string]fault.Kind{"token": fault.Forbidden, "invitation": fault.Forbidden})
		h.limit(t, bobID, map[string]api.EnvironmentAccess{"preview": api.EnvironmentNone})
		lab := must(h.Project(ctx, bob, "lab")).ID
		must(h.JoinProject(ctx, h.ann, lab, api.JoinProject{Role: api.RoleOwner}))
		must(0, h.RemoveMember(ctx, h.ann, lab, bobID, false))
		hidden := map[string]fault.Kind{"token": fault.Forbidden, "invitation": fault.Forbidden, "environment": fault.NotFound, "project": fault.NotFound}
		repeat("where he can not see what he made", hidden)
		must(0, h.RemoveMember(ctx, h.ann, "shop", bobID, false))
		hidden["token"], hidden["invitation"] = fault.NotFound, fault.NotFound
		repeat("as nobody", hidden)
	})
}
