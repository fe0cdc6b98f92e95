//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const inviting = "/projects/web/invitations/"

func TestInvitationShowsItsLinkOnce(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		form := open(t, w.admin, people).Form(t, inviting)
		values := url.Values{"email": {"Nina@example.com"}, "role": {"member"}, "limit-production": {"read"}}
		page := form.Submit(t, values)
		page.Has(t, "nina@example.com is invited", "This server can not send mail", "Production: read only")
		link := linkOf(t, page)
		open(t, w.Anonymous(), strings.TrimPrefix(link, w.URL))
		// Sent twice, it has invited once, and shows the same link.
		if again := linkOf(t, form.Submit(t, values)); again != link || w.Count("invitations", "1 = 1") != 1 {
			t.Errorf("%d invitations", w.Count("invitations", "1 = 1"))
		}
		listed := open(t, w.admin, people)
		listed.Has(t, "nina@example.com", "good until")
		if strings.Contains(listed.Body, link) {
			t.Error("the link is shown for ever")
		}
		id := invitationID(t, w)
		soon := listed.Form(t, inviting+id+"/resend/").Submit(t, nil)
		soon.Want(http.StatusTooManyRequests)
		soon.Has(t, "sent less than 10 minutes ago")
		aged(w)
		renewed := linkOf(t, listed.Form(t, inviting+id+"/resend/").Submit(t, nil))
		if renewed == link {
			t.Error("the link is the former one")
		}
		open(t, w.admin, people).Form(t, inviting+id+"/revoke/").Submit(t, nil).Has(t, "The invitation is revoked.").Lacks(t, "nina@example.com")
		if page := visit(t, w.Anonymous(), strings.TrimPrefix(renewed, w.URL)); strings.Contains(page.Text(), "Web") {
			t.Errorf("the revoked link tells of the project: %s", page.Text())
		}
		if page := post(t, w.admin, inviting+id+"/revoke/", nil); page.Status != http.StatusGone {
			t.Errorf("revoked again: %d", page.Status)
		}
	})
}

// aged makes it as if the invitations had been sent a while ago.
func aged(w *team) { w.Exec("UPDATE invitations SET sent_at = sent_at - 1200000000") }

func linkOf(t *testing.T, page *document) string {
	t.Helper()
	found := page.All("code", "id", "invitation-link")
	if page.Status != http.StatusOK || len(found) != 1 {
		t.Fatalf("%d: no link: %s", page.Status, page.Text())
	}
	return textOf(found[0])
}

func invitationID(t *testing.T, w *team) string {
	t.Helper()
	var list api.Page[api.Invitation]
	w.owner.Call("GET", "/projects/web/invitations/", nil).Want(http.StatusOK).Decode(&list)
	if len(list.Results) != 1 {
		t.Fatalf("%d invitations", len(list.Results))
	}
	return list.Results[0].ID
}

func TestInvitationsAreRefused(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	form := open(t, w.admin, people).Form(t, inviting)
	for email, text := range map[string]string{
		"": "address", "nobody": "address", "mia@example.com": "is a member of this project already",
	} {
		page := form.Submit(t, url.Values{"email": {email}})
		if page.Status < 400 || !strings.Contains(page.Text(), text) {
			t.Errorf("%q: %d %s", email, page.Status, page.Text())
		}
	}
	for _, evil := range injections() {
		page := form.Submit(t, url.Values{"email": {evil}})
		if page.Status != http.StatusBadRequest {
			t.Errorf("%q: %d", evil, page.Status)
		}
		page.IsTame(t)
		if typed := page.Form(t, inviting).Values().Get("email"); typed != evil {
			t.Errorf("of %q the form has kept %q", evil, typed)
		}
	}
	for _, c := range []*heartlocktest.Caller{w.member, w.viewer} {
		open(t, c, people).Lacks(t, "Invite ", "good until")
		if page := post(t, c, inviting, url.Values{"email": {"x@example.com"}, "role": {"viewer"}}); page.Status != http.StatusForbidden {
			t.Errorf("%s invites: %d", c.Name, page.Status)
		}
	}
	if page := post(t, w.admin, inviting, url.Values{"email": {"x@example.com"}, "role": {"owner"}}); page.Status != http.StatusForbidden {
		t.Errorf("an admin invites an owner: %d", page.Status)
	}
	// An owner's invitation is not an admin's to make anew.
	open(t, w.owner, people).Form(t, inviting).Submit(t, url.Values{"email": {"x@example.com"}, "role": {"owner"}})
	id := invitationID(t, w)
	if open(t, w.admin, people).Offers(inviting + id + "/resend/") {
		t.Error("an admin is offered to invite an owner again")
	}
	if page := post(t, w.admin, inviting+id+"/resend/", nil); page.Status != http.StatusForbidden {
		t.Errorf("an admin invites an owner again: %d", page.Status)
	}
}

func TestExpiredInvitationIsMarked(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	open(t, w.admin, people).Form(t, inviting).Submit(t, url.Values{"email": {"late@example.com"}})
	aged(w)
	w.Exec("UPDATE invitations SET expires_at = 1")
	page := open(t, w.admin, people)
	page.Has(t, "late@example.com", "expired")
	linkOf(t, page.Form(t, inviting+invitationID(t, w)+"/resend/").Submit(t, nil))
	open(t, w.admin, people).Lacks(t, "expired")
}
