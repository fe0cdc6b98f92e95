package vault_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// someone makes an account with ann's password, signed in.
func (h *house) someone(t *testing.T, name string) (p vault.Principal, id string) {
	t.Helper()
	id = uuid.Must(uuid.NewV7()).String()
	h.exec(t, `INSERT INTO users (id, email, first_name, last_name, password_hash, is_active, is_superuser, created_at, updated_at)
SELECT ?, ?, 'F', 'L', password_hash, is_active, NOT is_superuser, 1, 1 FROM users WHERE email = 'ann@example.com'`, id, name+"@example.com")
	return h.signIn(t, name+"@example.com", password), id
}

// colleague makes someone a member of shop.
func (h *house) colleague(t *testing.T, name string, role api.Role) (p vault.Principal, id string) {
	t.Helper()
	p, id = h.someone(t, name)
	h.enrol(t, id, role)
	return p, id
}

func (h *house) enrol(t *testing.T, id string, role api.Role) {
	t.Helper()
	h.exec(t, `INSERT INTO memberships (project_id, user_id, role, created_at) SELECT id, ?, ?, 1 FROM projects WHERE slug = 'shop'`, id, string(role))
}

// memberID is the id of a member of shop.
func (h *house) memberID(t *testing.T, email string) string {
	t.Helper()
	for _, m := range must(h.Members(t.Context(), h.ann, "shop")).Results {
		if m.Email == email {
			return m.ID
		}
	}
	t.Fatalf("%s is no member", email)
	return ""
}

func (h *house) setRole(t *testing.T, p vault.Principal, id string, role api.Role) error {
	t.Helper()
	_, err := h.UpdateMember(t.Context(), p, "shop", id, api.UpdateMember{Role: &role})
	return err
}

func (h *house) limit(t *testing.T, id string, environments map[string]api.EnvironmentAccess) {
	t.Helper()
	must(h.UpdateMember(t.Context(), h.ann, "shop", id, api.UpdateMember{Environments: environments}))
}

func (h *house) owners(t *testing.T) int {
	t.Helper()
	return h.count(t, "memberships m JOIN users u ON u.id = m.user_id WHERE m.role = 'owner' AND u.is_active")
}

func TestNobodyActsAboveHimself(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		admin, adminID := h.colleague(t, "admin", api.RoleAdmin)
		_, otherID := h.colleague(t, "other", api.RoleAdmin)
		member, memberID := h.colleague(t, "member", api.RoleMember)
		viewer, viewerID := h.colleague(t, "viewer", api.RoleViewer)
		stranger, strangerID := h.someone(t, "stranger")
		must(h.CreateProject(t.Context(), stranger, api.CreateProject{Name: "Lab"}))
		ann := h.memberID(t, "ann@example.com")

		before := h.dump(t)
		refused := func(what string, err error, kind fault.Kind) {
			t.Helper()
			isKind(t, what, err, kind)
			if diff := h.dump(t); diff != before {
				t.Errorf("%s changed something", what)
			}
		}
		remove := func(p vault.Principal, id string) error { return h.RemoveMember(t.Context(), p, "shop", id, false) }
		refused("an admin lowers the owner", h.setRole(t, admin, ann, api.RoleViewer), fault.Forbidden)
		refused("an admin removes the owner", remove(admin, ann), fault.Forbidden)
		refused("an admin lowers an admin", h.setRole(t, admin, otherID, api.RoleMember), fault.Forbidden)
		refused("an admin removes an admin", remove(admin, otherID), fault.Forbidden)
		refused("an admin makes an owner", h.setRole(t, admin, memberID, api.RoleOwner), fault.Forbidden)
		refused("an admin makes himself owner", h.setRole(t, admin, adminID, api.RoleOwner), fault.Forbidden)
		refused("a member raises himself", h.setRole(t, member, memberID, api.RoleAdmin), fault.Forbidden)
		refused("a member lowers himself", h.setRole(t, member, memberID, api.RoleViewer), fault.Forbidden)
		refused("a member changes a viewer", h.setRole(t, member, viewerID, api.RoleMember), fault.Forbidden)
		refused("a member removes a viewer", remove(member, viewerID), fault.Forbidden)
		refused("a viewer removes a member", remove(viewer, memberID), fault.Forbidden)
		refused("a stranger changes a member", h.setRole(t, stranger, memberID, api.RoleViewer), fault.NotFound)
		refused("a stranger removes a member", remove(stranger, memberID), fault.NotFound)
		refused("a stranger leaves", remove(stranger, strangerID), fault.NotFound)
		refused("a stranger removes a member by his own project", h.RemoveMember(t.Context(), stranger, "lab", memberID, false), fault.NotFound)
		refused("an owner removes nobody", remove(h.ann, strangerID), fault.NotFound)
		refused("an owner removes what is no id", remove(h.ann, "member@example.com"), fault.NotFound)
		refused("an owner gives no role", h.setRole(t, h.ann, memberID, "Owner"), fault.Invalid)
		for _, wanted := range []map[string]api.EnvironmentAccess{
			{"production": "None"},
			{"production": ""},
			{"nowhere": api.EnvironmentRead},
			{"": api.EnvironmentRead},
			{"production": api.EnvironmentRead, h.environmentID(t, "production"): api.EnvironmentNone},
		} {
			_, err := h.UpdateMember(t.Context(), h.ann, "shop", memberID, api.UpdateMember{Environments: wanted})
			refused(fmt.Sprint(wanted), err, fault.Invalid)
		}
		for _, id := range []string{otherID, ann} {
			_, err := h.UpdateMember(t.Context(), h.ann, "shop", id, api.UpdateMember{Environments: map[string]api.EnvironmentAccess{"production": api.EnvironmentRead}})
			refused("limits of an admin or owner", err, fault.Invalid)
		}
		service := h.service(t, api.AccessWrite, "development")
		isKind(t, "a service token removes a member", remove(service, memberID), fault.Forbidden)
		_, err := h.Members(t.Context(), service, "shop")
		isKind(t, "a service token lists the members", err, fault.Forbidden)
		equal(t, "members", h.count(t, "memberships m JOIN projects p ON p.id = m.project_id WHERE p.slug = 'shop'"), 5)

		allowed := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Errorf("%s: %v", what, fault.Detail(err))
			}
		}
		allowed("an admin raises a viewer to admin", h.setRole(t, admin, viewerID, api.RoleAdmin))
		allowed("an admin lowers himself", h.setRole(t, admin, adminID, api.RoleMember))
		allowed("a member leaves", remove(member, memberID))
		allowed("an owner makes an owner", h.setRole(t, h.ann, otherID, api.RoleOwner))
		allowed("an owner removes a member", remove(h.ann, adminID))
		allowed("an owner leaves if there is another", remove(h.ann, ann))
		isKind(t, "who has left", h.setRole(t, h.ann, viewerID, api.RoleViewer), fault.NotFound)
	})
}

func TestAProjectKeepsAnActiveOwner(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		ann := h.memberID(t, "ann@example.com")
		ben, benID := h.colleague(t, "ben", api.RoleOwner)
		activate := func(is bool) {
			h.exec(t, "UPDATE users SET is_active = ? WHERE id = ?", is, benID)
		}
		remove := func(p vault.Principal, id string) error { return h.RemoveMember(t.Context(), p, "shop", id, true) }

		activate(false)
		before := h.dump(t)
		isKind(t, "the last active owner leaves", remove(h.ann, ann), fault.Conflict)
		isKind(t, "the last active owner lowers himself", h.setRole(t, h.ann, ann, api.RoleAdmin), fault.Conflict)
		equal(t, "database", h.dump(t), before)
		if err := h.setRole(t, h.ann, benID, api.RoleViewer); err != nil {
			t.Errorf("an owner who is switched off can not be lowered: %v", err)
		}
		activate(true)
		must(0, h.setRole(t, h.ann, benID, api.RoleOwner))
		must(0, h.setRole(t, ben, ann, api.RoleAdmin))
		isKind(t, "the new last owner leaves", remove(ben, benID), fault.Conflict)
		must(0, h.setRole(t, ben, ann, api.RoleOwner))
		must(0, remove(ben, benID))
		equal(t, "owners", h.owners(t), 1)
	})
}

// Two owners take the project from each other, in every way, at the same moment.
// With PostgreSQL each asks a server of his own.
func TestOwnersWhoGoAtOnceLeaveOne(t *testing.T) {
	t.Parallel()
	const rounds = 50
	eachHouse(t, func(t *testing.T, h *house) {
		ben, benID := h.colleague(t, "ben", api.RoleOwner)
		ann := h.memberID(t, "ann@example.com")
		second := h.second(t)
		viewer := api.RoleViewer
		lower := func(v *vault.Vault, p vault.Principal, id string) error {
			_, err := v.UpdateMember(t.Context(), p, "shop", id, api.UpdateMember{Role: &viewer})
			return err
		}
		remove := func(v *vault.Vault, p vault.Principal, id string) error {
			return v.RemoveMember(t.Context(), p, "shop", id, true)
		}
		conflicts := 0
		for round := range rounds {
			var first, other error
			var both sync.WaitGroup
			switch round % 5 {
			case 0: // each lowers the other
				both.Go(func() { first = lower(h.Vault, h.ann, benID) })
				both.Go(func() { other = lower(second, ben, ann) })
			case 1: // both lower themselves
				both.Go(func() { first = lower(h.Vault, h.ann, ann) })
				both.Go(func() { other = lower(second, ben, benID) })
			case 2: // both leave
				both.Go(func() { first = remove(h.Vault, h.ann, ann) })
				both.Go(func() { other = remove(second, ben, benID) })
			case 3: // each removes the other
				both.Go(func() { first = remove(h.Vault, h.ann, benID) })
				both.Go(func() { other = remove(second, ben, ann) })
			default: // one leaves, the other lowers himself
				both.Go(func() { first = remove(h.Vault, h.ann, ann) })
				both.Go(func() { other = lower(second, ben, benID) })
			}
			both.Wait()
			if n := h.owners(t); n != 1 {
				t.Fatalf("round %d: %d owners; %v; %v", round, n, first, other)
			}
			if (first == nil) == (other == nil) {
				t.Fatalf("round %d: %v; %v", round, first, other)
			}
			loser := first
			if loser == nil {
				loser = other
			}
			switch self := round%5 == 1 || round%5 == 2 || round%5 == 4; fault.KindOf(loser) {
			case fault.Conflict:
				conflicts++
			case fault.Forbidden, fault.NotFound: // of each other, the second is no owner any more
				if self {
					t.Errorf("round %d: %v", round, loser)
				}
			default:
				t.Errorf("round %d: %v", round, fault.Detail(loser))
			}
			h.exec(t, "DELETE FROM memberships")
			h.enrol(t, ann, api.RoleOwner)
			h.enrol(t, benID, api.RoleOwner)
		}
		equal(t, "conflicts", conflicts, rounds/5*3)
	})
}

func TestWhoIsRemovedLeavesNoTokenBehind(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		tokenOf := func(p vault.Principal, name string) vault.Principal {
			made := must(h.CreateServiceToken(t.Context(), p, "shop", api.CreateServiceToken{Name: name, Environments: []string{"development"}, Access: api.AccessRead}))
			return must(h.IdentifyToken(t.Context(), made.Token.Reveal(), request()))
		}
		works := func(what string, p vault.Principal, want bool) {
			t.Helper()
			if _, err := h.Secrets(t.Context(), p, development); (err == nil) != want {
				t.Errorf("%s: %v", what, err)
			}
		}
		anns := tokenOf(h.ann, "ann's")
		admin, adminID := h.colleague(t, "admin", api.RoleAdmin)
		his, other := tokenOf(admin, "ci"), tokenOf(admin, "deploy")
		own := must(h.CreateOwnToken(t.Context(), admin, api.CreatePersonalToken{Name: "laptop"}))

		must(0, h.setRole(t, h.ann, adminID, api.RoleMember))
		works("a token of who was lowered", his, true)
		isKind(t, "a member keeps tokens", h.RemoveMember(t.Context(), admin, "shop", adminID, true), fault.Forbidden)
		must(0, h.RemoveMember(t.Context(), h.ann, "shop", adminID, true))
		works("a token that was kept", his, true)

		h.enrol(t, adminID, api.RoleMember)
		must(0, h.RemoveMember(t.Context(), h.ann, "shop", adminID, false))
		works("a token of who was removed", his, false)
		works("another", other, false)
		works("somebody else's token", anns, true)
		if _, err := h.IdentifyToken(t.Context(), own.Token.Reveal(), request()); err != nil {
			t.Errorf("a personal token went with the membership: %v", err)
		}

		var trail []string
		for _, e := range must(h.Audit(t.Context(), h.ann, "shop", vault.AuditQuery{Limit: 5})).Results {
			trail = append(trail, e.Action+" "+e.Target+" "+e.Detail["because"]+e.Detail["kept_tokens"]+e.Detail["service_tokens_kept"])
		}
		equal(t, "trail", trail[1:], []string{
			"token.revoke ci member.remove", "member.remove admin@example.com ", "member.remove admin@example.com true", "member.update admin@example.com 2",
		})
		equal(t, "trail", trail[0], "token.revoke deploy member.remove")

		leaver, leaverID := h.colleague(t, "leaver", api.RoleAdmin)
		mine := tokenOf(leaver, "mine")
		must(0, h.RemoveMember(t.Context(), leaver, "shop", leaverID, false))
		works("a token of who has left", mine, false)
		equal(t, "last event", must(h.Audit(t.Context(), h.ann, "shop", vault.AuditQuery{Action: "member.leave"})).Results[0].Target, "leaver@example.com")
	})
}

func (h *house) environmentID(t *testing.T, slug string) string {
	t.Helper()
	return must(h.Environment(t.Context(), h.ann, vault.EnvironmentRef{Project: "shop", Environment: slug})).ID
}

func TestPromotionEndsLimits(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		member, id := h.colleague(t, "member", api.RoleMember)
		h.limit(t, id, map[string]api.EnvironmentAccess{"production": api.EnvironmentNone, h.environmentID(t, "staging"): api.EnvironmentRead})
		limits := func(as vault.Principal) map[string]api.EnvironmentAccess {
			t.Helper()
			for _, m := range must(h.Members(t.Context(), as, "shop")).Results {
				if m.ID == id {
					return m.Environments
				}
			}
			return nil
		}
		equal(t, "limits", limits(h.ann), map[string]api.EnvironmentAccess{"production": api.EnvironmentNone, "staging": api.EnvironmentRead})
		equal(t, "as he sees them", limits(member), map[string]api.EnvironmentAccess{"staging": api.EnvironmentRead})
		h.limit(t, id, map[string]api.EnvironmentAccess{"staging": api.EnvironmentWrite})
		equal(t, "limits", limits(h.ann), map[string]api.EnvironmentAccess{"production": api.EnvironmentNone})
		must(0, h.setRole(t, h.ann, id, api.RoleViewer))
		equal(t, "of a viewer", limits(h.ann), map[string]api.EnvironmentAccess{"production": api.EnvironmentNone})

		h.limit(t, id, map[string]api.EnvironmentAccess{"staging": api.EnvironmentRead})
		must(0, h.DeleteEnvironment(t.Context(), h.ann, vault.EnvironmentRef{Project: "shop", Environment: "production"}))
		equal(t, "with an environment that is gone", limits(h.ann), map[string]api.EnvironmentAccess{"staging": api.EnvironmentRead})
		must(0, h.setRole(t, h.ann, id, api.RoleAdmin))
		equal(t, "of an admin", limits(h.ann), map[string]api.EnvironmentAccess{})
		must(0, h.setRole(t, h.ann, id, api.RoleMember))
		equal(t, "of who was an admin", limits(h.ann), map[string]api.EnvironmentAccess{})
	})
}

// untilOneWaits returns when somebody waits for a lock in the database of holder,
// which is what the sender of result has to do.
func untilOneWaits(t *testing.T, holder *sql.Tx, result <-chan error) {
	t.Helper()
	for waiting := 0; waiting == 0; {
		select {
		case err := <-result:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		err := holder.QueryRowContext(t.Context(), `
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE NOT l.granted AND a.datname = current_database()`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// On PostgreSQL a change of secrets waits for the one before it in the same
// environment. Whose rights were taken while he waited changes nothing.
func TestRightsThatGoWhileAWriteWaits(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		if h.options.Engine != store.PostgreSQL {
			return // SQLite has one writer: there is nothing to wait for in between
		}
		production := vault.EnvironmentRef{Project: "shop", Environment: "production"}
		for i, take := range []struct {
			what string
			do   func(id string)
			want fault.Kind
		}{
			{"removed", func(id string) { must(0, h.RemoveMember(t.Context(), h.ann, "shop", id, false)) }, fault.NotFound},
			{"lowered", func(id string) { must(0, h.setRole(t, h.ann, id, api.RoleViewer)) }, fault.Forbidden},
			{"limited to nothing", func(id string) {
				h.limit(t, id, map[string]api.EnvironmentAccess{"production": api.EnvironmentNone})
			}, fault.NotFound},
			{"limited to reading", func(id string) {
				h.limit(t, id, map[string]api.EnvironmentAccess{"production": api.EnvironmentRead})
			}, fault.Forbidden},
		} {
			p, id := h.colleague(t, fmt.Sprint("waiter", i), api.RoleMember)
			result := make(chan error, 1)
			holder := must(h.sql.BeginTx(t.Context(), nil))
			if _, err := holder.ExecContext(t.Context(), `SELECT 1 FROM environments WHERE slug = 'production' FOR UPDATE`); err != nil {
				t.Fatal(err)
			}
			go func() {
				value := api.NewValue("x")
				_, _, err := h.PutSecret(context.WithoutCancel(t.Context()), p, in(production, "THIEF"), api.PutSecret{Value: &value}, vault.Match{})
				result <- err
			}()
			untilOneWaits(t, holder, result)
			take.do(id)
			if err := holder.Commit(); err != nil {
				t.Fatal(err)
			}
			isKind(t, "a write of who was "+take.what+" while it waited", <-result, take.want)
		}
		equal(t, "secrets", len(must(h.Secrets(t.Context(), h.ann, production)).Results), 0)
	})
}

// Who counts on another owner waits until it is known whether that account stays.
func TestALeavingOwnerWaitsForTheOther(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		if h.options.Engine != store.PostgreSQL {
			return // SQLite has one writer: there is nothing to wait for in between
		}
		_, benID := h.colleague(t, "ben", api.RoleOwner)
		ann := h.memberID(t, "ann@example.com")
		holder := must(h.sql.BeginTx(t.Context(), nil))
		if _, err := holder.ExecContext(t.Context(), `UPDATE users SET is_active = false WHERE id = $1`, benID); err != nil {
			t.Fatal(err)
		}
		result := make(chan error, 1)
		go func() { result <- h.RemoveMember(context.WithoutCancel(t.Context()), h.ann, "shop", ann, true) }()
		untilOneWaits(t, holder, result)
		if err := holder.Commit(); err != nil {
			t.Fatal(err)
		}
		isKind(t, "the last active owner leaves", <-result, fault.Conflict)
	})
}

// Rights are what the database says at each request: once the change is answered,
// nothing that began after it succeeds, at whichever server, by whatever
// credential.
func TestRightsGoAtOnce(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.put(t, "API_KEY", "value")
		second := h.second(t)
		for i, take := range []struct {
			what string
			do   func(id string)
			read bool // is left to him
		}{
			{"removed", func(id string) { must(0, h.RemoveMember(t.Context(), h.ann, "shop", id, false)) }, false},
			{"limited to nothing", func(id string) {
				h.limit(t, id, map[string]api.EnvironmentAccess{"development": api.EnvironmentNone})
			}, false},
			{"lowered", func(id string) { must(0, h.setRole(t, h.ann, id, api.RoleViewer)) }, true},
			{"limited to reading", func(id string) {
				h.limit(t, id, map[string]api.EnvironmentAccess{"development": api.EnvironmentRead})
			}, true},
		} {
			session, id := h.colleague(t, fmt.Sprint("former", i), api.RoleMember)
			own := must(h.CreateOwnToken(t.Context(), session, api.CreatePersonalToken{Name: "laptop"}))
			token := must(h.IdentifyToken(t.Context(), own.Token.Reveal(), request()))
			done := make(chan struct{})
			var taken, late sync.WaitGroup
			taken.Add(4)
			attempt := func(v *vault.Vault, p vault.Principal) {
				for n, after := 0, 0; after < 5; n++ {
					over := false
					select {
					case <-done:
						over = true
						after++
					default:
					}
					_, readErr := v.Secret(t.Context(), p, in(development, "API_KEY"))
					value := api.NewValue(fmt.Sprint(n))
					_, _, writeErr := v.PutSecret(t.Context(), p, in(development, "OTHER"), api.PutSecret{Value: &value}, vault.Match{})
					if over && (writeErr == nil || (readErr == nil) != take.read) {
						t.Errorf("after he was %s: reading: %v, writing: %v", take.what, readErr, writeErr)
					}
					if n == 0 {
						if readErr != nil || writeErr != nil {
							t.Errorf("before: %v, %v", readErr, writeErr)
						}
						taken.Done()
					}
				}
			}
			for _, v := range []*vault.Vault{h.Vault, second} {
				for _, p := range []vault.Principal{session, token} {
					late.Go(func() { attempt(v, p) })
				}
			}
			taken.Wait() // everybody has succeeded once
			take.do(id)
			close(done)
			late.Wait()
		}
	})
}
