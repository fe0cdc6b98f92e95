package vault_test

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// reachable is the caller by a request to the server's public address, without
// which there are no links.
func reachable(p vault.Principal) vault.Principal {
	p.Request.Origin = "https://secrets.example.com"
	return p
}

// nobody is a caller without credentials.
func nobody() vault.Principal { return vault.Anonymous(request()) }

// invitationToken is the end of the link in an answer.
func invitationToken(t *testing.T, i api.Invitation) string {
	t.Helper()
	const base = "https://secrets.example.com/invitations/"
	if i.Link == nil || !strings.HasPrefix(i.Link.Reveal(), base) || !strings.HasSuffix(i.Link.Reveal(), "/") {
		t.Fatal("the answer has no link to an invitation")
	}
	return path.Base(i.Link.Reveal())
}

// invite invites an address to shop.
func (h *house) invite(t *testing.T, who vault.Principal, email string, role api.Role) (i api.Invitation, token string) {
	t.Helper()
	i = must(h.CreateInvitation(t.Context(), reachable(who), "shop", api.CreateInvitation{Email: email, Role: role}))
	return i, invitationToken(t, i)
}

func withPassword() api.AcceptInvitation {
	text := api.NewValue(password)
	return api.AcceptInvitation{Password: &text}
}

// welcome makes someone a member of shop by an invitation of ann's, and signs him in.
func (h *house) welcome(t *testing.T, email string, role api.Role) vault.Principal {
	t.Helper()
	_, token := h.invite(t, h.ann, email, role)
	_, session, err := h.AcceptInvitation(t.Context(), nobody(), token, withPassword())
	return must(h.IdentifySession(t.Context(), must(session, err).Reveal(), request()))
}

// age takes all invitations back by two days, as far as the bounds are concerned.
func (h *house) age(t *testing.T) {
	t.Helper()
	h.exec(t, "UPDATE invitations SET sent_at = sent_at - 172800000000")
	h.exec(t, "UPDATE throttles SET since = since - 172800000000")
}

// text is every row of a table, as one text.
func (h *house) text(t *testing.T, table string) string {
	t.Helper()
	rows := must(h.sql.QueryContext(t.Context(), "SELECT * FROM "+table+" ORDER BY 1"))
	defer rows.Close()
	columns := must(rows.Columns())
	var out strings.Builder
	for rows.Next() {
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, values...)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestWhoMayInvite: from admin on, and to no higher role than one's own. The
// administration of the server is no role in a project.
func TestWhoMayInvite(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		callers := map[api.Role]vault.Principal{api.RoleOwner: h.ann}
		for _, role := range []api.Role{api.RoleViewer, api.RoleMember, api.RoleAdmin} {
			callers[role] = h.welcome(t, string(role)+"@example.com", role)
		}
		for role, caller := range callers {
			for _, to := range api.Roles() {
				h.age(t)
				_, err := h.CreateInvitation(t.Context(), reachable(caller), "shop", api.CreateInvitation{Email: string(role) + "-" + string(to) + "@example.com", Role: to})
				if may := role.AtLeast(api.RoleAdmin) && role.AtLeast(to); may != (err == nil) || !may && !errors.Is(err, fault.Forbidden) {
					t.Errorf("%s invites %s: %v", role, to, err)
				}
			}
		}
		byOwner := must(h.Invitations(t.Context(), h.ann, "shop")).Results
		h.age(t)
		for _, i := range byOwner {
			_, err := h.ResendInvitation(t.Context(), reachable(callers[api.RoleAdmin]), "shop", i.ID)
			if may := i.Role != api.RoleOwner; may != (err == nil) || !may && !errors.Is(err, fault.Forbidden) {
				t.Errorf("an admin sends the invitation of an %s again: %v", i.Role, err)
			}
		}
		for _, role := range []api.Role{api.RoleViewer, api.RoleMember} {
			_, err := h.Invitations(t.Context(), callers[role], "shop")
			isKind(t, "list as "+string(role), err, fault.Forbidden)
			isKind(t, "revoke as "+string(role), h.RevokeInvitation(t.Context(), callers[role], "shop", byOwner[0].ID), fault.Forbidden)
		}
		_, err := h.CreateInvitation(t.Context(), reachable(h.service(t, api.AccessWrite, "development")), "shop", api.CreateInvitation{Email: "x@example.com", Role: api.RoleViewer})
		isKind(t, "a service token invites", err, fault.Forbidden)
		must(h.CreateProject(t.Context(), callers[api.RoleViewer], api.CreateProject{Name: "Own"}))
		_, err = h.CreateInvitation(t.Context(), reachable(h.ann), "own", api.CreateInvitation{Email: "x@example.com", Role: api.RoleViewer})
		isKind(t, "an administrator of the server invites to a foreign project", err, fault.NotFound)
	})
}

// TestWhatIsInvited holds what is asked for to the rules of addresses, roles and
// limits.
func TestWhatIsInvited(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		owner := reachable(h.ann)
		for _, in := range []api.CreateInvitation{
			{Email: "", Role: api.RoleViewer},
			{Email: "bob", Role: api.RoleViewer},
			{Email: "bob@example.com, eve@example.com", Role: api.RoleViewer},
			{Email: "bob@example.com\r\nBcc: eve@example.com", Role: api.RoleViewer},
			{Email: "bob@example.com"},
			{Email: "bob@example.com", Role: "Owner"},
			{Email: "bob@example.com", Role: "owner "},
			{Email: "bob@example.com", Role: api.RoleMember, Environments: map[string]api.EnvironmentAccess{"nowhere": "none"}},
			{Email: "bob@example.com", Role: api.RoleMember, Environments: map[string]api.EnvironmentAccess{"production": "all"}},
			{Email: "bob@example.com", Role: api.RoleAdmin, Environments: map[string]api.EnvironmentAccess{"production": "none"}},
		} {
			_, err := h.CreateInvitation(t.Context(), owner, "shop", in)
			isKind(t, fmt.Sprintf("%+v", in), err, fault.Invalid)
		}
		_, err := h.CreateInvitation(t.Context(), h.ann, "shop", api.CreateInvitation{Email: "bob@example.com", Role: api.RoleViewer})
		isKind(t, "without a public address", err, fault.Invalid)
		equal(t, "invitations", h.count(t, "invitations"), 0)
		equal(t, "mails", h.count(t, "mail_queue"), 0)

		i := must(h.CreateInvitation(t.Context(), owner, "shop", api.CreateInvitation{
			Email: "Bob@BÜCHER.example", Role: api.RoleMember, Environments: map[string]api.EnvironmentAccess{"production": "none", "staging": "read", "development": "write"},
		}))
		equal(t, "address", i.Email, "bob@xn--bcher-kva.example")
		equal(t, "limits", i.Environments, map[string]api.EnvironmentAccess{"production": "none", "staging": "read"})
		equal(t, "inviter", i.InvitedBy, api.Inviter{Email: "ann@example.com", Name: "Ann"})
		if life := i.ExpiresAt.Sub(i.SentAt); life != 7*24*time.Hour {
			t.Errorf("it lives for %v", life)
		}
		if got := h.text(t, "mail_queue"); !strings.Contains(got, "invitation bob@xn--bcher-kva.example") {
			t.Errorf("the mail is not queued to the canonical address: %s", got)
		}
		_, err = h.CreateInvitation(t.Context(), owner, "shop", api.CreateInvitation{Email: "BOB@bücher.example", Role: api.RoleViewer})
		isKind(t, "invited twice", err, fault.Conflict)
		_, err = h.CreateInvitation(t.Context(), owner, "shop", api.CreateInvitation{Email: "ANN@example.com", Role: api.RoleViewer})
		isKind(t, "a member is invited", err, fault.Conflict)

		session := h.acceptAnew(t, invitationToken(t, i))
		equal(t, "environments of the new member", slugs(t, h, session), []string{"development", "staging"})
	})
}

func (h *house) acceptAnew(t *testing.T, token string) vault.Principal {
	t.Helper()
	_, session, err := h.AcceptInvitation(t.Context(), nobody(), token, withPassword())
	return must(h.IdentifySession(t.Context(), must(session, err).Reveal(), request()))
}

func slugs(t *testing.T, h *house, p vault.Principal) (all []string) {
	t.Helper()
	for _, e := range must(h.Environments(t.Context(), p, "shop")).Results {
		all = append(all, e.Slug)
	}
	return all
}

// TestLinksAreTold looks for the token of a link wherever it must not be.
func TestLinksAreTold(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		i, token := h.invite(t, h.ann, "bob@example.com", api.RoleViewer)
		h.age(t)
		again := must(h.ResendInvitation(t.Context(), reachable(h.ann), "shop", i.ID))
		newToken := invitationToken(t, again)
		if newToken == token || len(newToken) != 43 {
			t.Error("the new link is not new, or not of 256 bits")
		}
		_, err := h.OpenInvitation(t.Context(), nobody(), token)
		isKind(t, "the former link", err, fault.NotFound)
		_, _, err = h.AcceptInvitation(t.Context(), nobody(), token, withPassword())
		isKind(t, "the former link is accepted", err, fault.NotFound)
		h.acceptAnew(t, newToken)
		list := must(h.Invitations(t.Context(), h.ann, "shop"))
		equal(t, "open invitations", len(list.Results), 0)
		for _, table := range []string{"invitations", "mail_queue", "audit_events", "memberships", "users", "idempotency_keys"} {
			if got := h.text(t, table); strings.Contains(got, token) || strings.Contains(got, newToken) {
				t.Errorf("%s holds the token of a link", table)
			}
		}
		events := h.text(t, "audit_events")
		for _, action := range []string{"invitation.create", "invitation.resend", "invitation.accept"} {
			if !strings.Contains(events, action) {
				t.Errorf("%s is not in the audit trail", action)
			}
		}
	})
}

// TestInvitationsCanBeRepeated: a request that is sent again because its answer
// was lost gets that answer.
func TestInvitationsCanBeRepeated(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		p := reachable(h.ann)
		p.Request.IdempotencyKey = "first"
		in := api.CreateInvitation{Email: "bob@example.com", Role: api.RoleViewer}
		one, two := must(h.CreateInvitation(t.Context(), p, "shop", in)), must(h.CreateInvitation(t.Context(), p, "shop", in))
		h.age(t)
		p.Request.IdempotencyKey = "second"
		three, four := must(h.ResendInvitation(t.Context(), p, "shop", one.ID)), must(h.ResendInvitation(t.Context(), p, "shop", one.ID))
		if invitationToken(t, one) != invitationToken(t, two) || invitationToken(t, three) != invitationToken(t, four) || invitationToken(t, one) == invitationToken(t, three) {
			t.Error("a repeated request makes another link")
		}
		equal(t, "mails", h.count(t, "mail_queue WHERE kind = 'invitation'"), 2)
	})
}

// TestBoundsOnInvitations counts them.
func TestBoundsOnInvitations(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		clock := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
		p.now = func() time.Time { return clock }
		h := p.house(t)
		create := func(project, email string) error {
			_, err := h.CreateInvitation(t.Context(), reachable(h.ann), project, api.CreateInvitation{Email: email, Role: api.RoleViewer})
			return err
		}
		tooMany := func(what string, err error, wait time.Duration) {
			t.Helper()
			isKind(t, what, err, fault.TooManyRequests)
			if f := fault.As(err); f != nil && f.RetryAfter != wait {
				t.Errorf("%s: come back in %v, want %v", what, f.RetryAfter, wait)
			}
		}
		for n := range 20 {
			if err := create("shop", fmt.Sprintf("guest%d@example.com", n)); err != nil {
				t.Fatal(err)
			}
		}
		tooMany("the 21st", create("shop", "one.more@example.com"), 7*24*time.Hour)
		first := must(h.Invitations(t.Context(), h.ann, "shop")).Results[0]
		clock = clock.Add(4 * time.Minute)
		_, err := h.ResendInvitation(t.Context(), reachable(h.ann), "shop", first.ID)
		tooMany("sent again too soon", err, 6*time.Minute)
		clock = clock.Add(6 * time.Minute)
		must(h.ResendInvitation(t.Context(), reachable(h.ann), "shop", first.ID))

		// Revoking makes room for others, but not for the same address again and again.
		for n := range 3 {
			id := first.ID
			if n > 0 {
				if err := create("shop", first.Email); err != nil {
					t.Fatalf("invited anew for the %d. time: %v", n, err)
				}
				all := must(h.Invitations(t.Context(), h.ann, "shop")).Results
				id = all[len(all)-1].ID
			}
			if err := h.RevokeInvitation(t.Context(), h.ann, "shop", id); err != nil {
				t.Fatal(err)
			}
		}
		tooMany("an address again and again", create("shop", first.Email), 10*time.Minute)

		// 23 links so far; a person's links are counted over all projects.
		must(h.CreateProject(t.Context(), h.ann, api.CreateProject{Name: "Other"}))
		must(h.CreateProject(t.Context(), h.ann, api.CreateProject{Name: "Third"}))
		for n := range 27 {
			if err := create([]string{"other", "third"}[n%2], fmt.Sprintf("guest%d@example.com", n)); err != nil {
				t.Fatalf("%d: %v", n, err)
			}
		}
		tooMany("the 51st of a day", create("other", "one.more@example.com"), 24*time.Hour-10*time.Minute)

		// What was sent stays counted when its project is gone, and is cleared away.
		must(0, h.DeleteProject(t.Context(), h.ann, "third"))
		must(0, h.DeleteProject(t.Context(), h.ann, "other"))
		must(h.CreateProject(t.Context(), h.ann, api.CreateProject{Name: "Other"}))
		clock = clock.Add(12 * time.Hour)
		must(0, h.Maintain(t.Context()))
		tooMany("another project", create("other", "one.more@example.com"), 12*time.Hour-10*time.Minute)
		clock = clock.Add(12 * time.Hour)
		h.ann = reachable(h.signIn(t, "ann@example.com", password))
		if err := create("other", "one.more@example.com"); err != nil {
			t.Errorf("the next day: %v", err)
		}
		clock = clock.Add(7 * 24 * time.Hour)
		h.ann = reachable(h.signIn(t, "ann@example.com", password))
		if err := create("shop", "guest5@example.com"); err != nil {
			t.Errorf("what has expired is in the way: %v", err)
		}
	})
}

// TestEndedInvitationsAreRemoved after some time, and not before.
func TestEndedInvitationsAreRemoved(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		clock := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
		p.now = func() time.Time { return clock }
		h := p.house(t)
		revoked, _ := h.invite(t, h.ann, "revoked@example.com", api.RoleViewer)
		_, token := h.invite(t, h.ann, "accepted@example.com", api.RoleViewer)
		h.invite(t, h.ann, "expired@example.com", api.RoleViewer)
		h.acceptAnew(t, token)
		if err := h.RevokeInvitation(t.Context(), h.ann, "shop", revoked.ID); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			after time.Duration
			left  int
		}{{90 * 24 * time.Hour, 3}, {time.Microsecond, 1}, {7 * 24 * time.Hour, 0}} {
			clock = clock.Add(step.after)
			if err := h.Maintain(t.Context()); err != nil {
				t.Fatal(fault.Detail(err))
			}
			equal(t, "invitations", h.count(t, "invitations"), step.left)
		}
	})
}
