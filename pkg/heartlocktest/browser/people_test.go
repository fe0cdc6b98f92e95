//go:build unix

package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

// invite invites an address on the page of a project's people, and returns the path
// of the link, which is shown once.
func invite(tab *browser.Tab, project, email, role string) string {
	tab.Open("/projects/" + project + "/members/")
	tab.Click("Invite")
	dialog := tab.In("dialog", "Invite to Shop")
	dialog.Fill("Email", email)
	dialog.Select("Role", role)
	dialog.Click("Invite")
	tab.WantText(email + " is invited")
	link := browser.Evaluate[string](tab, "document.querySelector('#invitation-link').textContent")
	return link[strings.Index(link, "/invitations/"):]
}

const (
	roleMember = "Member – reads and writes secrets"
	roleViewer = "Viewer – reads secrets"
)

func TestSomebodyNewIsInvitedAndComes(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", map[string]string{"API_KEY": "value-of-the-shop"})
		owner := h.tab(h.owner, options...)
		path := invite(owner, "shop", "new.colleague@example.com", roleMember)
		owner.Open("/projects/shop/members/")
		owner.WantText("new.colleague@example.com")
		if strings.Contains(owner.HTML(), lastPart(path)) {
			t.Error("the link is shown again")
		}

		guest := h.tab(nil, options...)
		guest.Open(path)
		guest.WantText("Join Shop", "Olga Owner", "new.colleague@example.com")
		guest.Fill("First name (optional)", "Nora")
		guest.Fill("Last name (optional)", "Newman")
		guest.Fill("Password", "short")
		guest.Click("Create account and join")
		guest.WantControl("Create account and join")
		guest.Fill("Password", "a password of several words")
		guest.Click("Create account and join")
		guest.WantText("Shop", "Development", "API_KEY")
		guest.Open(path)
		guest.WantText("This invitation was accepted")

		owner.Open("/projects/shop/members/")
		owner.WantText("Nora Newman", "2 people")
	})
}

func TestSomebodyKnownIsInvitedAndComes(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", nil)
		h.AddUser("known@example.com")
		other := h.person("other")
		path := invite(h.tab(h.owner, options...), "shop", "known@example.com", roleViewer)

		guest := h.tab(other, options...)
		guest.Open(path)
		guest.WantText("You are signed in as other@example.com", "This invitation is for known@example.com")
		guest.Click("Sign out and come back")
		guest.WantText("There is an account with this address.")
		guest.Click("Sign in and come back")
		signIn(guest, "known@example.com", heartlocktest.Password)
		guest.WantText("Join Shop")
		guest.Click("Accept the invitation")
		guest.WantText("Shop")
		guest.WantNoControl("Add secret")
		var page api.Page[api.Member]
		h.owner.Call("GET", "/projects/shop/members/", nil).Want(http.StatusOK).Decode(&page)
		if len(page.Results) != 2 {
			t.Errorf("%d members, want 2", len(page.Results))
		}
	})
}

func TestMembersAreChangedAndRemoved(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t)
		project := h.project("shop", "")
		member := h.person("ada")
		h.AddMember(project.ID, member.UserID, "member")
		tab := h.tab(h.owner, options...)
		tab.Open("/projects/shop/members/")
		row := tab.In("listitem", "ada@example.com")
		row.Only("DisclosureTriangle").Any().Click("ada@example.com member")
		row.Select("Role", roleViewer)
		row.Click("Save")
		tab.WantText("viewer")
		member.Call("PUT", secretsOf("shop", "development")+"X/", map[string]any{"value": "y"}).Want(http.StatusForbidden)

		tab.In("listitem", "ada@example.com").Only("DisclosureTriangle").Click("ada@example.com viewer")
		tab.In("listitem", "ada@example.com").Click("Remove…")
		tab.In("dialog", "Remove ada@example.com?").Click("Remove")
		tab.WantText("1 person")
		member.Call("GET", "/projects/shop/", nil).Want(http.StatusNotFound)
	})
}
