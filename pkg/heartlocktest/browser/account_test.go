//go:build unix

package browser_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

// signIn fills in the sign-in page.
func signIn(tab *browser.Tab, email, password string) {
	tab.Fill("Email", email)
	tab.Fill("Password", password)
	tab.Click("Sign in")
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", nil)
		tab := h.tab(nil, options...)
		tab.Allow(http.StatusUnauthorized)
		tab.Open("/projects/shop/?view=x")
		tab.WantPath("/login/?next=%2Fprojects%2Fshop%2F%3Fview%3Dx")
		signIn(tab, heartlocktest.OwnerEmail, "not my password")
		tab.WantText("Invalid email or password.")
		tab.WantValue("Email", heartlocktest.OwnerEmail)
		tab.WantValue("Password", "")
		signIn(tab, heartlocktest.OwnerEmail, heartlocktest.Password)
		tab.WantText("Shop")
		if path := tab.Path(); !strings.HasPrefix(path, "/projects/shop/") {
			t.Errorf("after signing in the tab is at %s", path)
		}
		tab.Click("Olga Owner")
		tab.Click("Sign out")
		tab.WantPath("/login/")
		tab.WantText("You are signed out.")
		tab.Open("/projects/")
		tab.WantPath("/login/?next=%2Fprojects%2F")
	})
}

// factorSecret reads the secret that the page shows for the app.
func factorSecret(tab *browser.Tab) string {
	text := browser.Evaluate[string](tab, "document.querySelector('#factor-secret').textContent")
	return strings.ReplaceAll(strings.Join(strings.Fields(text), ""), " ", "")
}

// factorCode is what the app shows, now or some steps of 30 seconds later: each
// code serves once.
func factorCode(t *testing.T, secret string, step int) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(step)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t)
		tab := h.tab(h.owner, options...)
		tab.Open("/account/second-factor/")
		tab.Fill("Password", heartlocktest.Password)
		tab.Click("Set up")
		secret := factorSecret(tab)
		tab.Fill("Code", "000000")
		tab.Click("Switch on")
		tab.WantControl("Begin anew")
		tab.Fill("Code", factorCode(t, secret, 0))
		tab.Click("Switch on")
		tab.WantText("The second factor is on.", "Save these codes now.")
		recovery := strings.Fields(browser.Evaluate[string](tab, "document.querySelector('#recovery-codes').textContent"))[0]
		tab.Click("I have saved them")
		tab.WantText("Authenticator app On")

		other := h.tab(nil, options...)
		other.Allow(http.StatusUnauthorized)
		other.Open("/login/")
		signIn(other, heartlocktest.OwnerEmail, heartlocktest.Password)
		const field = "Code"
		other.WantControl(field)
		if !other.Has("Password") {
			t.Error("the page asks for the code without the password")
		}
		if browser.Evaluate[string](other, "document.querySelector('[name=password]').value") == "" {
			other.Fill("Password", heartlocktest.Password) // a page of the server never holds it
		}
		other.Fill(field, recovery)
		other.Click("Sign in")
		other.WantPath("/projects/")

		tab.Reload()
		tab.Click("Switch the second factor off")
		tab.Fill("Password", heartlocktest.Password)
		tab.Fill("Code of the app, or a recovery code", factorCode(t, secret, 1))
		tab.Click("Switch off")
		tab.WantText("The second factor is off.")
	})
}

func TestProfileAndPassword(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t)
		tab := h.tab(h.owner, options...)
		tab.Open("/account/")
		tab.Fill("First name (optional)", "Olivia")
		tab.Click("Save profile")
		tab.WantText("Your profile is saved.", "Olivia Owner")

		tab.In("navigation", "Your account").Click("Password")
		tab.Fill("Current password", "wrong password here")
		tab.Fill("New password", "a-new-long-password")
		tab.Fill("New password, once more", "a-new-long-password")
		tab.Click("Change password")
		tab.WantValue("New password", "")
		tab.Fill("Current password", heartlocktest.Password)
		tab.Fill("New password", "a-new-long-password")
		tab.Fill("New password, once more", "a-new-long-password")
		tab.Click("Change password")
		tab.WantText("Your password is changed.")
		h.Anonymous().Call("POST", "/auth/login/", map[string]any{"email": heartlocktest.OwnerEmail, "password": "a-new-long-password"}).Want(http.StatusOK)
	})
}

func TestSessionsAndTokens(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t)
		other := h.Login(heartlocktest.OwnerEmail)
		tab := h.tab(h.owner, options...)
		tab.Open("/account/sessions/")
		tab.Click("Sign out everywhere else")
		tab.In("dialog", "Sign out everywhere else?").Click("Sign out everywhere else")
		tab.WantText("Every other session has ended.")
		other.Call("GET", "/auth/sessions/", nil).Want(http.StatusUnauthorized)

		tab.In("navigation", "Your account").Click("Personal tokens")
		tab.Fill("Name", "laptop")
		tab.Select("Expires", "in 30 days")
		tab.Click("Create token")
		tab.WantText("Copy it now. It is not shown again.")
		token := browser.Evaluate[string](tab, "document.querySelector('#token-text').textContent")
		var account api.Account
		h.WithToken("laptop", token).Call("GET", "/auth/me/", nil).Want(http.StatusOK).Decode(&account)
		if account.Email != heartlocktest.OwnerEmail {
			t.Errorf("the token is %s's", account.Email)
		}
		tab.Click("Done")
		if strings.Contains(tab.HTML(), token) {
			t.Error("the token is shown again")
		}
		tab.Click("Revoke laptop")
		tab.In("dialog", "Revoke “laptop”?").Click("Revoke token")
		tab.WantText("The token is revoked.", "No tokens yet")
		h.WithToken("laptop", token).Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
	})
}
