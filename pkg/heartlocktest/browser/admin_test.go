//go:build unix

package browser_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

func TestAdministratorsManageAccounts(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t)
		tab := h.tab(h.owner, options...)
		tab.Open("/projects/")
		tab.Click("Olga Owner")
		tab.Click("Administration")
		tab.WantText("Status", "SQLite")
		tab.In("navigation", "Administration").Click("People")
		tab.Click("New account")
		tab.Fill("Email", "new@example.com")
		tab.Fill("First name (optional)", "Nora")
		tab.Click("Create account")
		tab.WantText("The account of new@example.com is there.", "Pass this link on")
		link := tab.In("main", "").Text()
		path := link[strings.Index(link, "/password-reset/"):]
		path = path[:strings.IndexByte(path, ' ')]

		person := h.tab(nil, options...)
		person.Open(path)
		person.WantText("Choose a new password", "new@example.com")
		person.Fill("New password", heartlocktest.Password)
		person.Click("Save the new password")
		person.WantControl("Sign in")
		signIn(person, "new@example.com", heartlocktest.Password)
		person.WantText("No projects yet")
		if status := person.Open("/admin/"); status != http.StatusForbidden {
			t.Errorf("the administration for somebody else: %d", status)
		}

		tab.Click("Go to the account")
		tab.Click("Switch off")
		tab.In("dialog", "Switch off new@example.com?").Click("Switch off")
		tab.WantText("Switched off")
		person.Open("/projects/")
		person.WantPath("/login/?next=%2Fprojects%2F")
		tab.Click("Switch on")
		tab.WantText("Active")
	})
}

func TestAdministratorsTestTheMail(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		relay := heartlocktest.StartSMTP(t, heartlocktest.SMTPPlain, "", "")
		h := newHouse(t, "EMAIL_HOST="+relay.Host, fmt.Sprint("EMAIL_PORT=", relay.Port), "EMAIL_USE_TLS=False")
		tab := h.tab(h.owner, options...)
		tab.Open("/admin/mail/")
		tab.WantText(relay.Host)
		tab.Click("Send a test mail")
		tab.WantText("It worked.")
		if mail := relay.Next(t); mail.To[0] != heartlocktest.OwnerEmail {
			t.Errorf("the test mail went to %v", mail.To)
		}
	})
}

func TestAdministratorsReadTheAudit(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", map[string]string{"API_KEY": "x"})
		h.owner.Call("GET", secretsOf("shop", "development")+"API_KEY/", nil).Want(http.StatusOK)
		tab := h.tab(h.owner, options...)
		tab.Open("/admin/audit/")
		tab.WantText(heartlocktest.OwnerEmail)
		tab.Open("/projects/shop/audit/")
		tab.Fill("Key or name", "API_KEY")
		tab.Click("Show")
		tab.WantText("API_KEY", "Olga Owner")
		tab.Fill("Key or name", "ANOTHER_KEY")
		tab.Click("Show")
		tab.WantNoText("API_KEY")
	})
}

func TestAdministratorsJoinProjects(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t)
		other := h.person("ada")
		other.Call("POST", "/projects/", map[string]any{"name": "Secret plans", "slug": "plans"}).Want(http.StatusCreated)
		tab := h.tab(h.owner, options...)
		if status := tab.Open("/projects/plans/"); status != http.StatusNotFound {
			t.Errorf("a foreign project: %d", status)
		}
		tab.Open("/admin/projects/")
		tab.Click("Join Secret plans")
		tab.WantText("Every owner of the project is told")
		tab.Check("Viewer Reads the secrets.", true)
		tab.Click("Join with this role")
		tab.WantText("Secret plans")
		h.owner.Call("GET", "/projects/plans/", nil).Want(http.StatusOK)
	})
}
