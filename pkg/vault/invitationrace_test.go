package vault_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// invitationRounds is how often each race is run. More find more.
const invitationRounds = 50

// atOnce runs functions at the same time and returns what each came to.
func atOnce(run ...func() error) []error {
	var (
		all   sync.WaitGroup
		start = make(chan struct{})
		errs  = make([]error, len(run))
	)
	for i, f := range run {
		all.Go(func() {
			<-start
			errs[i] = f()
		})
	}
	close(start)
	all.Wait()
	return errs
}

// oneOf makes sure that exactly one succeeded and the others were refused as
// kinds.
func oneOf(t *testing.T, what string, errs []error, kinds ...fault.Kind) {
	t.Helper()
	succeeded := 0
	for _, err := range errs {
		refused := false
		for _, k := range kinds {
			refused = refused || errors.Is(err, k)
		}
		if err == nil {
			succeeded++
		} else if !refused {
			t.Errorf("%s: %s", what, fault.Detail(err))
		}
	}
	if succeeded != 1 {
		t.Errorf("%s: %d succeeded", what, succeeded)
	}
}

// TestALinkServesOnce: of many who use it at the same time one succeeds.
func TestALinkServesOnce(t *testing.T) {
	t.Parallel()
	const many = 20
	eachHouse(t, func(t *testing.T, h *house) {
		_, token := h.invite(t, h.ann, "bob@example.com", api.RoleMember)
		var tries []func() error
		for range many {
			tries = append(tries, func() error { return h.accept(t, nobody(), token, withPassword()) })
		}
		oneOf(t, "new accounts", atOnce(tries...), fault.Gone, fault.Conflict, fault.TooManyRequests)
		equal(t, "accounts and members", []int{h.count(t, "users"), h.count(t, "memberships")}, []int{2, 2})

		must(h.CreateProject(t.Context(), h.ann, api.CreateProject{Name: "Other"}))
		bob := h.signIn(t, "bob@example.com", password)
		i := must(h.CreateInvitation(t.Context(), reachable(h.ann), "other", api.CreateInvitation{Email: "bob@example.com", Role: api.RoleMember}))
		token, tries = invitationToken(t, i), nil
		for range many {
			tries = append(tries, func() error { return h.accept(t, bob, token, api.AcceptInvitation{}) })
		}
		oneOf(t, "one account", atOnce(tries...), fault.Gone)
		equal(t, "members", h.count(t, "memberships"), 4)
		equal(t, "acceptances in the trail", h.count(t, "audit_events WHERE action = 'invitation.accept' AND outcome = 'success'"), 2)
	})
}

// TestInvitationsAreCreatedOnce: of many invitations of one address at the same
// time one is made.
func TestInvitationsAreCreatedOnce(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		var tries []func() error
		for range 20 {
			tries = append(tries, func() error {
				_, err := h.CreateInvitation(t.Context(), reachable(h.ann), "shop", api.CreateInvitation{Email: "bob@example.com", Role: api.RoleViewer})
				return err
			})
		}
		oneOf(t, "invitations", atOnce(tries...), fault.Conflict)
		equal(t, "mails", h.count(t, "mail_queue WHERE kind = 'invitation'"), 1)
	})
}

// race lets bob accept an invitation of the inviter's while the owner does
// something else, again and again. Whatever comes first, both must agree on it.
func race(t *testing.T, h *house, inviter, bob vault.Principal, other func(i api.Invitation) error, check func(accepted, othered error)) {
	t.Helper()
	for range invitationRounds {
		h.age(t)
		i, token := h.invite(t, inviter, "bob@example.com", api.RoleMember)
		errs := atOnce(
			func() error { return h.accept(t, bob, token, api.AcceptInvitation{}) },
			func() error { return other(i) },
		)
		members := h.count(t, "memberships WHERE user_id = '"+bob.Actor().ID+"'")
		if accepted := errs[0] == nil; accepted != (members == 1) || !accepted && !errors.Is(errs[0], fault.Gone) {
			t.Fatalf("accepted: %v, and bob has %d memberships", errs[0], members)
		}
		equal(t, "accepted and revoked", h.count(t, "invitations WHERE accepted_at IS NOT NULL AND revoked_at IS NOT NULL"), 0)
		equal(t, "pending", h.count(t, "invitations WHERE accepted_at IS NULL AND revoked_at IS NULL"), 0)
		check(errs[0], errs[1])
		h.exec(t, "DELETE FROM memberships WHERE user_id = ?", bob.Actor().ID)
		if t.Failed() {
			return
		}
	}
}

// stranger is somebody with an account and no project.
func (h *house) stranger(t *testing.T, email string) vault.Principal {
	t.Helper()
	p := h.welcome(t, email, api.RoleViewer)
	h.exec(t, "DELETE FROM memberships WHERE user_id = ?", p.Actor().ID)
	return p
}

// TestAcceptanceAgainstRevocation: one of the two happens.
func TestAcceptanceAgainstRevocation(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		bob := h.stranger(t, "bob@example.com")
		race(t, h, h.ann, bob, func(i api.Invitation) error { return h.RevokeInvitation(t.Context(), h.ann, "shop", i.ID) }, func(accepted, revoked error) {
			oneOf(t, "accepted and revoked", []error{accepted, revoked}, fault.Gone, fault.Conflict)
		})
	})
}

// TestAcceptanceAgainstDemotion: after the inviter was lowered nobody comes in by
// his invitations.
func TestAcceptanceAgainstDemotion(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		bob, dan := h.stranger(t, "bob@example.com"), h.welcome(t, "dan@example.com", api.RoleAdmin)
		viewer, admin := api.RoleViewer, api.RoleAdmin
		lower := func(api.Invitation) error {
			_, err := h.UpdateMember(t.Context(), h.ann, "shop", dan.Actor().ID, api.UpdateMember{Role: &viewer})
			return err
		}
		race(t, h, dan, bob, lower, func(accepted, lowered error) {
			if lowered != nil {
				t.Fatal(fault.Detail(lowered))
			}
			if accepted == nil { // then it came first: the trail is in the order of the commits
				last := "audit_events WHERE id > (SELECT MAX(id) FROM audit_events WHERE action = 'invitation.accept' AND outcome = 'success') AND action = 'member.update'"
				equal(t, "lowered after the acceptance", h.count(t, last), 1)
			}
			must(h.UpdateMember(t.Context(), h.ann, "shop", dan.Actor().ID, api.UpdateMember{Role: &admin}))
		})
	})
}

// TestAcceptanceAgainstDeactivation: nor after his account was switched off.
func TestAcceptanceAgainstDeactivation(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		bob := h.stranger(t, "bob@example.com")
		h.welcome(t, "dan@example.com", api.RoleAdmin)
		off := func() error {
			_, err := h.UpdateUser(t.Context(), h.ann, h.id(t, "dan@example.com"), api.UpdateUser{IsActive: new(false)})
			return err
		}
		for range invitationRounds / 10 { // each round needs a sign-in
			dan := h.signIn(t, "dan@example.com", password)
			h.age(t)
			_, token := h.invite(t, dan, "bob@example.com", api.RoleMember)
			errs := atOnce(func() error { return h.accept(t, bob, token, api.AcceptInvitation{}) }, off)
			if errs[1] != nil {
				t.Fatal(fault.Detail(errs[1]))
			}
			if errs[0] != nil && !errors.Is(errs[0], fault.Gone) {
				t.Fatal(fault.Detail(errs[0]))
			}
			equal(t, "pending", h.count(t, "invitations WHERE accepted_at IS NULL AND revoked_at IS NULL"), 0)
			h.exec(t, "DELETE FROM memberships WHERE user_id = ?", bob.Actor().ID)
			must(h.UpdateUser(t.Context(), h.ann, h.id(t, "dan@example.com"), api.UpdateUser{IsActive: new(true)}))
		}
	})
}

// id is the id of the account with an address.
func (h *house) id(t *testing.T, email string) string {
	t.Helper()
	return must(h.store.UserByEmail(t.Context(), email)).ID
}
