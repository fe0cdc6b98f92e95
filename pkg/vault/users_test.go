package vault_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/vault"
)

// administratorRounds is how often two administrators fall over each other.
const administratorRounds = 50

// person makes an account with the common password, and returns its id and the
// account signed in.
func (h *house) person(t *testing.T, email string, superuser bool) (string, vault.Principal) {
	t.Helper()
	made := must(h.CreateUser(t.Context(), h.ann, api.CreateUser{Email: email, IsSuperuser: superuser, Password: new(api.NewValue(password))}))
	return made.ID, h.signIn(t, email, password)
}

// second is another server over the same database.
func (h *house) second(t *testing.T) *vault.Vault {
	t.Helper()
	other := h.place
	other.open(t)
	return must(other.vault(t, h.ring))
}

func (h *house) idOf(t *testing.T, email string) string {
	t.Helper()
	page := must(h.Users(t.Context(), h.ann, vault.UserQuery{Text: email}))
	if len(page.Results) != 1 {
		t.Fatalf("%d accounts for %s", len(page.Results), email)
	}
	return page.Results[0].ID
}

// Of two administrators who take each other's or their own rights away at the
// same moment, at two servers, one stays.
func TestOneAdministratorStays(t *testing.T) {
	demote := api.UpdateUser{IsSuperuser: new(false)}
	deactivate := api.UpdateUser{IsActive: new(false)}
	eachHouse(t, func(t *testing.T, h *house) {
		bobID, bob := h.person(t, "bob@example.com", true)
		ids, callers := []string{h.idOf(t, "ann@example.com"), bobID}, []vault.Principal{h.ann, bob}
		must(0, h.DeleteProject(t.Context(), h.ann, "shop")) // whose last owner could not go either
		servers := []*vault.Vault{h.Vault, h.second(t)}
		for round := range administratorRounds {
			h.exec(t, "UPDATE users SET is_active = ?, is_superuser = ?", true, true)
			for i, email := range []string{"ann@example.com", "bob@example.com"} {
				if h.count(t, "sessions WHERE user_id = '"+ids[i]+"'") == 0 {
					callers[i] = h.signIn(t, email, password)
				}
			}
			targets := []string{ids[1], ids[0]}
			if round%2 == 1 { // each of himself
				targets = ids
			}
			changes := []api.UpdateUser{demote, deactivate}
			var errs [2]error
			var wait sync.WaitGroup
			for i := range 2 {
				wait.Go(func() {
					_, errs[i] = servers[i].UpdateUser(t.Context(), callers[i], targets[i], changes[(round/2+i)%2])
				})
			}
			wait.Wait()
			if n := h.count(t, "users WHERE is_active AND is_superuser"); n != 1 {
				t.Fatalf("round %d: %d administrators: %v, %v", round, n, errs[0], errs[1])
			}
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("round %d: %v, %v", round, errs[0], errs[1])
			}
			err := errors.Join(errs[:]...)
			if round%2 == 1 {
				isKind(t, "the second of those who resign", err, fault.Conflict)
			} else if !errors.Is(err, fault.Forbidden) && !errors.Is(err, fault.Unauthenticated) {
				t.Errorf("the one who was deposed first: %v", err)
			}
		}
	})
}

// The last one can not go at all, whichever way.
func TestTheLastAdministratorStays(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		annID := h.idOf(t, "ann@example.com")
		bobID, _ := h.person(t, "bob@example.com", true)
		must(h.UpdateUser(t.Context(), h.ann, bobID, api.UpdateUser{IsActive: new(false)})) // who is off does not count
		before := h.dump(t)
		for _, change := range []api.UpdateUser{{IsActive: new(false)}, {IsSuperuser: new(false)}, {IsActive: new(false), IsSuperuser: new(false)}} {
			_, err := h.UpdateUser(t.Context(), h.ann, annID, change)
			isKind(t, "the last administrator resigns", err, fault.Conflict)
		}
		for _, change := range []vault.LocalChange{vault.LocalDeactivate(), vault.LocalRevoke()} {
			_, err := h.ChangeUserLocally(t.Context(), vault.Local(), "ann@example.com", change)
			isKind(t, "the last administrator is removed on the server", err, fault.Conflict)
		}
		equal(t, "the database", h.dump(t), before)
		must(h.ChangeUserLocally(t.Context(), vault.Local(), "BOB@example.com", vault.LocalActivate()))
		if n := h.count(t, "audit_events WHERE action = 'admin.activate' AND actor_kind = 'system' AND target = 'bob@example.com'"); n != 1 {
			t.Errorf("the trail tells %d times what was done on the server", n)
		}
		must(h.UpdateUser(t.Context(), h.ann, annID, api.UpdateUser{IsSuperuser: new(false)}))
	})
}

// Who was demoted after his request was admitted changes nothing with it.
func TestADemotedAdministratorChangesNothing(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		carlID, _ := h.person(t, "carl@example.com", false)
		bobID, bob := h.person(t, "bob@example.com", true)
		bob.Request.Origin = "https://secrets.example.com"
		must(h.UpdateUser(t.Context(), h.ann, bobID, api.UpdateUser{IsSuperuser: new(false)}))
		before := h.dump(t)
		ctx := t.Context()
		for what, try := range map[string]func() error{
			"create": func() error { _, err := h.CreateUser(ctx, bob, api.CreateUser{Email: "x@example.com"}); return err },
			"promote himself": func() error {
				_, err := h.UpdateUser(ctx, bob, bobID, api.UpdateUser{IsSuperuser: new(true)})
				return err
			},
			"reset":        func() error { _, err := h.ResetUserPassword(ctx, bob, carlID); return err },
			"end sessions": func() error { _, err := h.EndUserSessions(ctx, bob, carlID); return err },
			"settings": func() error {
				_, err := h.SaveSettings(ctx, bob, vault.SettingsChange{Action: vault.ActionUpdateSSO, Text: api.NewValue("{}")})
				return err
			},
			"test mail": func() error { _, err := h.TestMail(ctx, bob, api.TestMail{}); return err },
			"factor":    func() error { return h.RemoveSecondFactor(ctx, bob, carlID) },
			"join": func() error {
				_, err := h.JoinProject(ctx, bob, "shop", api.JoinProject{Role: api.RoleOwner})
				return err
			},
		} {
			isKind(t, what, try(), fault.Forbidden)
		}
		equal(t, "the database", h.dump(t), before)
	})
}

// Once an account is off, nothing of its person works any more, at any server:
// not one request that begins after the answer.
func TestWhoIsSwitchedOffIsOut(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		h.put(t, "API_KEY", "value")
		bobID, bob := h.person(t, "bob@example.com", false)
		h.join(t, "bob@example.com", api.RoleOwner)
		personal := must(h.CreateOwnToken(ctx, bob, api.CreatePersonalToken{Name: "laptop"})).Token.Reveal()
		_, session, err := h.Login(ctx, vault.Anonymous(request()), api.LoginRequest{Email: "bob@example.com", Password: api.NewValue(password)})
		if err != nil {
			t.Fatal(err)
		}
		service := must(h.CreateServiceToken(ctx, bob, "shop", api.CreateServiceToken{Name: "ci", Environments: []string{"development"}, Access: api.AccessRead})).Token.Reveal()
		h.ann.Request.Origin, bob.Request.Origin = "https://secrets.example.com", "https://secrets.example.com"
		invited := tokenOf(must(h.CreateInvitation(ctx, bob, "shop", api.CreateInvitation{Email: "eve@example.com", Role: api.RoleViewer})).Link.Reveal())
		untried := tokenOf(must(h.CreateInvitation(ctx, bob, "shop", api.CreateInvitation{Email: "fay@example.com", Role: api.RoleViewer})).Link.Reveal())
		reset := tokenOf(must(h.ResetUserPassword(ctx, h.ann, bobID)).Link.Reveal())

		servers := []*vault.Vault{h.Vault, h.second(t)}
		tries := []func(v *vault.Vault) error{
			func(v *vault.Vault) error {
				p, err := v.IdentifySession(ctx, session.Reveal(), request())
				if err == nil {
					_, err = v.Secret(ctx, p, in(development, "API_KEY"))
				}
				return err
			},
			func(v *vault.Vault) error {
				p, err := v.IdentifyToken(ctx, personal, request())
				if err == nil {
					_, err = v.Secret(ctx, p, in(development, "API_KEY"))
				}
				return err
			},
			func(v *vault.Vault) error { // who was identified before
				_, _, err := v.PutSecret(ctx, bob, in(development, "BOBS_KEY"), api.PutSecret{Value: new(api.NewValue("x"))}, vault.Match{})
				return err
			},
		}
		var off atomic.Bool
		var before, after atomic.Int64
		var wait sync.WaitGroup
		for _, v := range servers {
			for _, try := range tries {
				wait.Go(func() {
					for rounds := 0; rounds < 5; {
						began := off.Load()
						err := try(v)
						switch {
						case began && err == nil:
							after.Add(1)
						case err == nil:
							before.Add(1)
						}
						if began {
							rounds++
						}
					}
				})
			}
		}
		heartlocktest.Eventually(t, "requests succeed", func() bool { return before.Load() >= 20 })
		answer := must(h.UpdateUser(ctx, h.ann, bobID, api.UpdateUser{IsActive: new(false)}))
		off.Store(true)
		wait.Wait()
		if answer.IsActive || after.Load() > 0 {
			t.Errorf("%d requests succeeded after the answer: %+v", after.Load(), answer)
		}

		for i, v := range servers {
			_, _, err := v.Login(ctx, vault.Anonymous(request()), api.LoginRequest{Email: "bob@example.com", Password: api.NewValue(password)})
			isKind(t, fmt.Sprint("sign-in at ", i), err, fault.Unauthenticated)
			_, err = v.CreateOwnToken(ctx, bob, api.CreatePersonalToken{Name: "more"})
			isKind(t, fmt.Sprint("a new token at ", i), err, fault.Unauthenticated)
			_, _, err = v.AcceptInvitation(ctx, vault.Anonymous(request()), invited, api.AcceptInvitation{Password: new(api.NewValue(password))})
			isKind(t, fmt.Sprint("his invitation at ", i), err, fault.Gone)
			err = v.ConfirmPasswordReset(ctx, vault.Anonymous(request()), api.PasswordResetConfirm{Token: api.NewValue(reset), NewPassword: api.NewValue("another long passphrase")})
			isKind(t, fmt.Sprint("his reset at ", i), err, fault.Gone)
			p := must(v.IdentifyToken(ctx, service, request()))
			must(v.Secret(ctx, p, in(development, "API_KEY"))) // it belongs to the project
		}
		if n := h.count(t, "sessions WHERE user_id = '"+bobID+"'"); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if n := h.count(t, `audit_events WHERE action = 'user.update' AND target = 'bob@example.com'
			AND detail LIKE '%"service_tokens_kept":"1"%' AND detail LIKE '%"is_active":"false"%'`); n != 1 {
			t.Errorf("the trail tells it %d times", n)
		}

		// Switched on again he signs in; what ended does not come back.
		must(h.UpdateUser(ctx, h.ann, bobID, api.UpdateUser{IsActive: new(true)}))
		h.signIn(t, "bob@example.com", password)
		_, err = h.IdentifySession(ctx, session.Reveal(), request())
		isKind(t, "the ended session", err, fault.Unauthenticated)
		err = h.ConfirmPasswordReset(ctx, vault.Anonymous(request()), api.PasswordResetConfirm{Token: api.NewValue(reset), NewPassword: api.NewValue("another long passphrase")})
		isKind(t, "the former link", err, fault.Gone)
		_, _, err = h.AcceptInvitation(ctx, vault.Anonymous(request()), untried, api.AcceptInvitation{Password: new(api.NewValue(password))})
		isKind(t, "the former invitation", err, fault.Gone)
	})
}

// tokenOf is the last part of a link's path.
func tokenOf(link string) string {
	parts := strings.Split(strings.TrimSuffix(link, "/"), "/")
	return parts[len(parts)-1]
}

// join makes an account a member of shop, past every operation.
func (h *house) join(t *testing.T, email string, role api.Role) {
	t.Helper()
	h.exec(t, "INSERT INTO memberships (project_id, user_id, role, created_at, environment_limits) SELECT p.id, u.id, ?, 1, '' FROM projects p, users u WHERE p.slug = 'shop' AND u.email = ?",
		string(role), email)
}
