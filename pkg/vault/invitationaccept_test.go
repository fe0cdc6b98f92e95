package vault_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/vault"
)

// accept tries a link and says what came of it.
func (h *house) accept(t *testing.T, p vault.Principal, token string, in api.AcceptInvitation) error {
	t.Helper()
	_, _, err := h.AcceptInvitation(t.Context(), p, token, in)
	return err
}

// state is what a link says of its invitation.
func (h *house) state(t *testing.T, token string) api.InvitationState {
	t.Helper()
	return must(h.OpenInvitation(t.Context(), nobody(), token)).State
}

// refused makes sure that a link is refused as kind, that this is in the trail,
// and that the invitation is in a state then.
func (h *house) refused(t *testing.T, what string, p vault.Principal, token string, in api.AcceptInvitation, kind fault.Kind, state api.InvitationState) {
	t.Helper()
	members, accounts := h.count(t, "memberships"), h.count(t, "users")
	trail := "audit_events WHERE action = 'invitation.accept' AND outcome = 'refused'"
	events := h.count(t, trail)
	isKind(t, what, h.accept(t, p, token, in), kind)
	equal(t, what+": members and accounts", []int{h.count(t, "memberships"), h.count(t, "users")}, []int{members, accounts})
	equal(t, what+": refusals in the trail", h.count(t, trail), events+1)
	equal(t, what+": state", h.state(t, token), state)
}

// TestAcceptingCreatesTheAccount of exactly the invited address, once.
func TestAcceptingCreatesTheAccount(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		_, token := h.invite(t, h.ann, "Bob@Example.com", api.RoleMember)
		before := h.dump(t) + h.text(t, "invitations") + h.text(t, "mail_queue")
		for range 10 {
			got := must(h.OpenInvitation(t.Context(), nobody(), token))
			equal(t, "what the link says", got, api.OpenedInvitation{
				Project: "Shop", Role: api.RoleMember, Email: "bob@example.com", InvitedBy: &api.Inviter{Email: "ann@example.com", Name: "Ann"},
				ExpiresAt: got.ExpiresAt, State: api.InvitationPending,
			})
		}
		if h.dump(t)+h.text(t, "invitations")+h.text(t, "mail_queue") != before {
			t.Error("looking at a link changes something")
		}
		weak := api.NewValue("12345678")
		for what, in := range map[string]api.AcceptInvitation{
			"no password": {}, "a weak password": {Password: &weak},
			"a name with a line break": {Password: withPassword().Password, FirstName: "a\nb"},
		} {
			isKind(t, what, h.accept(t, nobody(), token, in), fault.Invalid)
		}
		in := withPassword()
		in.FirstName, in.LastName = "Bob", "Builder"
		accepted, session, err := h.AcceptInvitation(t.Context(), nobody(), token, in)
		if err != nil {
			t.Fatal(fault.Detail(err))
		}
		account := accepted.Account
		equal(t, "account", account, api.Account{ID: account.ID, Email: "bob@example.com", FirstName: "Bob", LastName: "Builder", HasPassword: true})
		equal(t, "role", accepted.Project.Role, api.RoleMember)
		bob := must(h.IdentifySession(t.Context(), session.Reveal(), request()))
		equal(t, "actor", bob.Actor(), api.Actor{Kind: api.ActorUser, ID: account.ID, Name: "bob@example.com"})
		must(h.Project(t.Context(), bob, "shop"))
		h.signIn(t, "bob@example.com", password)

		equal(t, "an accepted link", must(h.OpenInvitation(t.Context(), nobody(), token)).Project, "")
		h.refused(t, "used twice by nobody", nobody(), token, withPassword(), fault.Gone, api.InvitationAccepted)
		h.refused(t, "used twice by the account", bob, token, api.AcceptInvitation{}, fault.Gone, api.InvitationAccepted)
	})
}

// TestOnlyTheInvitedAccountAccepts: no other one, and not its address alone.
func TestOnlyTheInvitedAccountAccepts(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		must(h.CreateProject(t.Context(), h.ann, api.CreateProject{Name: "Other"}))
		bob := h.welcome(t, "bob@example.com", api.RoleViewer)
		carl := h.welcome(t, "carl@example.com", api.RoleViewer)
		i := must(h.CreateInvitation(t.Context(), reachable(h.ann), "other", api.CreateInvitation{Email: "bob@example.com", Role: api.RoleAdmin}))
		token := invitationToken(t, i)
		equal(t, "account exists", must(h.OpenInvitation(t.Context(), nobody(), token)).AccountExists, true)

		h.refused(t, "another account", carl, token, api.AcceptInvitation{}, fault.Forbidden, api.InvitationPending)
		h.refused(t, "an administrator of the server", h.ann, token, api.AcceptInvitation{}, fault.Forbidden, api.InvitationPending)
		h.refused(t, "nobody", nobody(), token, withPassword(), fault.Conflict, api.InvitationPending)
		isKind(t, "with a password, signed in", h.accept(t, bob, token, withPassword()), fault.Invalid)
		own := must(h.CreateOwnToken(t.Context(), bob, api.CreatePersonalToken{Name: "laptop"}))
		personal := must(h.IdentifyToken(t.Context(), own.Token.Reveal(), request()))
		isKind(t, "a personal token of the account", h.accept(t, personal, token, api.AcceptInvitation{}), fault.Forbidden)
		isKind(t, "a service token", h.accept(t, h.service(t, api.AccessWrite, "development"), token, api.AcceptInvitation{}), fault.Forbidden)

		h.exec(t, "UPDATE users SET is_active = false WHERE email = 'bob@example.com'")
		h.refused(t, "nobody, and the account is switched off", nobody(), token, withPassword(), fault.Forbidden, api.InvitationPending)
		isKind(t, "a session of before", h.accept(t, bob, token, api.AcceptInvitation{}), fault.Unauthenticated)
		equal(t, "switched off accounts", h.count(t, "users WHERE NOT is_active"), 1)
		h.exec(t, "UPDATE users SET is_active = true WHERE email = 'bob@example.com'")

		accepted, session, err := h.AcceptInvitation(t.Context(), bob, token, api.AcceptInvitation{})
		equal(t, "role", must(accepted, err).Project.Role, api.RoleAdmin)
		if session.Len() != 0 {
			t.Error("who is signed in gets another session")
		}
		must(h.Project(t.Context(), bob, "other"))
	})
}

// TestLinksThatAreNone are not found, whatever they look like.
func TestLinksThatAreNone(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		_, token := h.invite(t, h.ann, "bob@example.com", api.RoleViewer)
		for _, bad := range []string{"", "x", strings.Repeat("A", 43), token[:42], token + "A", token[:42] + "-", token[:42] + "\x00", strings.ToUpper(token), "hlp_" + token[4:]} {
			_, err := h.OpenInvitation(t.Context(), nobody(), bad)
			isKind(t, "open", err, fault.NotFound)
			isKind(t, "accept", h.accept(t, nobody(), bad, withPassword()), fault.NotFound)
		}
		equal(t, "state", h.state(t, token), api.InvitationPending)
	})
}

// TestInvitationsEnd by their time, to the microsecond, and by being revoked.
func TestInvitationsEnd(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		start := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
		clock := start
		p.now = func() time.Time { return clock }
		h := p.house(t)
		expiring, token := h.invite(t, h.ann, "bob@example.com", api.RoleViewer)
		_, inTime := h.invite(t, h.ann, "carl@example.com", api.RoleViewer)
		clock = start.Add(7*24*time.Hour - time.Microsecond)
		h.acceptAnew(t, inTime)
		clock = start.Add(7 * 24 * time.Hour)
		h.refused(t, "expired", nobody(), token, withPassword(), fault.Gone, api.InvitationExpired)

		h.ann = h.signIn(t, "ann@example.com", password)
		equal(t, "state in the list", must(h.Invitations(t.Context(), h.ann, "shop")).Results[0].State, api.InvitationExpired)
		again := must(h.ResendInvitation(t.Context(), reachable(h.ann), "shop", expiring.ID))
		equal(t, "state", again.State, api.InvitationPending)
		if err := h.RevokeInvitation(t.Context(), h.ann, "shop", expiring.ID); err != nil {
			t.Fatal(err)
		}
		h.refused(t, "revoked", nobody(), invitationToken(t, again), withPassword(), fault.Gone, api.InvitationRevoked)
		isKind(t, "revoked twice", h.RevokeInvitation(t.Context(), h.ann, "shop", expiring.ID), fault.Gone)
		_, err := h.ResendInvitation(t.Context(), reachable(h.ann), "shop", expiring.ID)
		isKind(t, "revoked and sent again", err, fault.Gone)
		carl := h.text(t, "invitations WHERE accepted_at IS NOT NULL")
		id, _, _ := strings.Cut(carl, " ")
		isKind(t, "accepted and revoked", h.RevokeInvitation(t.Context(), h.ann, "shop", id), fault.Conflict)
	})
}

// TestInvitersMustStillBeAbleTo: who loses the right to invite loses what he has
// invited, at once by the operations that take it, and at acceptance in any case.
func TestInvitersMustStillBeAbleTo(t *testing.T) {
	t.Parallel()
	viewer, admin := api.RoleViewer, api.RoleAdmin
	const ofDan = "WHERE user_id = (SELECT id FROM users WHERE email = 'dan@example.com')"
	for what, c := range map[string]struct {
		invites api.Role
		take    func(t *testing.T, h *house, danID string)
		silent  bool // the invitation is not ended by what takes the right
	}{
		"lowered to viewer": {invites: api.RoleViewer, take: func(t *testing.T, h *house, danID string) {
			must(h.UpdateMember(t.Context(), h.ann, "shop", danID, api.UpdateMember{Role: &viewer}))
		}},
		"lowered to admin, having invited an owner": {invites: api.RoleOwner, take: func(t *testing.T, h *house, danID string) {
			must(h.UpdateMember(t.Context(), h.ann, "shop", danID, api.UpdateMember{Role: &admin}))
		}},
		"removed": {invites: api.RoleViewer, take: func(t *testing.T, h *house, danID string) {
			if err := h.RemoveMember(t.Context(), h.ann, "shop", danID, true); err != nil {
				t.Fatal(err)
			}
		}},
		"switched off": {invites: api.RoleViewer, take: func(t *testing.T, h *house, danID string) {
			must(h.UpdateUser(t.Context(), h.ann, danID, api.UpdateUser{IsActive: new(bool)}))
		}},
		"lowered past every operation": {invites: api.RoleViewer, silent: true, take: func(t *testing.T, h *house, _ string) {
			h.exec(t, "UPDATE memberships SET role = 'member' "+ofDan)
		}},
		"lowered below the invited role past every operation": {invites: api.RoleOwner, silent: true, take: func(t *testing.T, h *house, _ string) {
			h.exec(t, "UPDATE memberships SET role = 'admin' "+ofDan)
		}},
		"removed past every operation": {invites: api.RoleViewer, silent: true, take: func(t *testing.T, h *house, _ string) {
			h.exec(t, "DELETE FROM memberships "+ofDan)
		}},
		"switched off past every operation": {invites: api.RoleViewer, silent: true, take: func(t *testing.T, h *house, danID string) {
			h.exec(t, "UPDATE users SET is_active = false WHERE id = ?", danID)
		}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			eachHouse(t, func(t *testing.T, h *house) {
				dan := h.welcome(t, "dan@example.com", api.RoleOwner)
				_, token := h.invite(t, dan, "bob@example.com", c.invites)
				_, other := h.invite(t, h.ann, "carl@example.com", api.RoleViewer)
				c.take(t, h, dan.Actor().ID)
				equal(t, "revoked", h.count(t, "invitations WHERE revoked_at IS NOT NULL") == 1, !c.silent)
				equal(t, "what the link says", h.state(t, token), api.InvitationRevoked)
				h.refused(t, "accepted", nobody(), token, withPassword(), fault.Gone, api.InvitationRevoked)
				equal(t, "revoked", h.count(t, "invitations WHERE revoked_at IS NOT NULL"), 1)
				equal(t, "revocations in the trail", h.count(t, "audit_events WHERE action = 'invitation.revoke' AND target = 'bob@example.com'"), 1)
				h.acceptAnew(t, other)
			})
		})
	}
}

// TestWhatIsStillAllowedStays: an owner who becomes admin keeps what an admin may
// invite, and an invitation that another has sent again is the other's.
func TestWhatIsStillAllowedStays(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		dan := h.welcome(t, "dan@example.com", api.RoleOwner)
		_, kept := h.invite(t, dan, "bob@example.com", api.RoleAdmin)
		taken, _ := h.invite(t, dan, "carl@example.com", api.RoleViewer)
		h.age(t)
		again := must(h.ResendInvitation(t.Context(), reachable(h.ann), "shop", taken.ID))
		equal(t, "inviter", again.InvitedBy.Email, "ann@example.com")
		admin := api.RoleAdmin
		must(h.UpdateMember(t.Context(), h.ann, "shop", dan.Actor().ID, api.UpdateMember{Role: &admin}))
		h.acceptAnew(t, kept)
		if err := h.RemoveMember(t.Context(), h.ann, "shop", dan.Actor().ID, false); err != nil {
			t.Fatal(err)
		}
		h.acceptAnew(t, invitationToken(t, again))
	})
}

// TestMembersKeepTheirRole: an invitation of someone who has become a member
// meanwhile changes nothing, and ends; it does not bring back who was removed.
func TestMembersKeepTheirRole(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		must(h.CreateProject(t.Context(), h.ann, api.CreateProject{Name: "Other"}))
		bob := h.welcome(t, "bob@example.com", api.RoleViewer)
		i := must(h.CreateInvitation(t.Context(), reachable(h.ann), "other", api.CreateInvitation{Email: "bob@example.com", Role: api.RoleViewer}))
		h.exec(t, "INSERT INTO memberships (project_id, user_id, role, created_at) SELECT id, ?, 'owner', 1 FROM projects WHERE slug = 'other'", bob.Actor().ID)
		h.refused(t, "a member", bob, invitationToken(t, i), api.AcceptInvitation{}, fault.Conflict, api.InvitationRevoked)
		equal(t, "role", must(h.Project(t.Context(), bob, "other")).Role, api.RoleOwner)
		if err := h.RemoveMember(t.Context(), h.ann, "other", bob.Actor().ID, false); err != nil {
			t.Fatal(err)
		}
		h.refused(t, "who was removed", bob, invitationToken(t, i), api.AcceptInvitation{}, fault.Gone, api.InvitationRevoked)
	})
}

// Whoever can make a project can invite any address, and sees a link. It must not
// make him the account of that address, which others may invite and an identity
// provider would give its person to: that takes the link of the mail.
func TestTheLinkThatTheInviterSeesCreatesNoAccount(t *testing.T) {
	mailed := regexp.MustCompile(`https://secrets\.example\.com/invitations/([0-9A-Za-z]{43})/`)
	eachMailHouse(t, func(t *testing.T, h *mailHouse) {
		mallory, _ := h.someone(t, "mallory")
		must(h.CreateProject(t.Context(), mallory, api.CreateProject{Name: "Bait"}))
		next := func() string {
			t.Helper()
			h.deliver(t, vault.Delivery{Sent: 1}, "")
			found := mailed.FindStringSubmatch(h.smtp.Next(t).Text)
			if found == nil {
				t.Fatal("the mail has no link")
			}
			return found[1]
		}
		invite := func(email string) (i api.Invitation, shown, sent string) {
			t.Helper()
			i = must(h.CreateInvitation(t.Context(), mallory, "bait", api.CreateInvitation{Email: email, Role: api.RoleViewer}))
			return i, invitationToken(t, i), next()
		}
		needsMail := func(token string) bool {
			t.Helper()
			return must(h.OpenInvitation(t.Context(), nobody(), token)).NeedsMailedLink
		}

		i, shown, sent := invite("victim@example.com")
		if shown == sent || !needsMail(shown) || needsMail(sent) {
			t.Error("the two links do the same")
		}
		h.refused(t, "the inviter makes the account", nobody(), shown, withPassword(), fault.Forbidden, api.InvitationPending)

		h.clock.advance(time.Hour)
		again := invitationToken(t, must(h.ResendInvitation(t.Context(), mallory, "bait", i.ID)))
		newest := next()
		for what, former := range map[string]string{"shown": shown, "mailed": sent} {
			isKind(t, "a former link that was "+what, h.accept(t, nobody(), former, withPassword()), fault.NotFound)
		}
		h.refused(t, "the inviter makes the account", nobody(), again, withPassword(), fault.Forbidden, api.InvitationPending)
		h.acceptAnew(t, newest)
		h.refused(t, "the other link is used up", nobody(), again, withPassword(), fault.Gone, api.InvitationAccepted)

		// Who has an account is known by signing in, and can use either.
		_, shown, _ = invite("ann@example.com")
		opened := must(h.OpenInvitation(t.Context(), nobody(), shown))
		if opened.AccountExists || !opened.NeedsMailedLink {
			t.Errorf("the inviter learns who has an account: %+v", opened)
		}
		h.refused(t, "the inviter makes the account that there is", nobody(), shown, withPassword(), fault.Forbidden, api.InvitationPending)
		must(0, h.accept(t, h.ann, shown, api.AcceptInvitation{}))

		// Without mail there is one link, which does all.
		h.UseMailer(&mail.Mailer{Sender: mail.Disabled{}}, func() {})
		i = must(h.CreateInvitation(t.Context(), mallory, "bait", api.CreateInvitation{Email: "carl@example.com", Role: api.RoleViewer}))
		if needsMail(invitationToken(t, i)) {
			t.Error("without mail nobody can be invited")
		}
		h.acceptAnew(t, invitationToken(t, i))
	})
}
