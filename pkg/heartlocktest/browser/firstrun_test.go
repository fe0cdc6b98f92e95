//go:build unix

package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// TestFromTheFirstRunToTheFirstSecret is what everybody does once: from a server
// that nobody has set up to a secret that a program can read.
func TestFromTheFirstRunToTheFirstSecret(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		s := start(t, heartlocktest.Production()...)
		tab := browser.NewTab(t, overTLS(t, s), append(options, browser.SelfSigned)...)
		tab.Open("/")
		tab.WantText("Set up Heartlock")
		tab.Fill("Set-up token", "not-the-token")
		tab.Fill("First name (optional)", "Olga")
		tab.Fill("Email", heartlocktest.OwnerEmail)
		tab.Fill("Password", heartlocktest.Password)
		tab.Click("Set up Heartlock")
		tab.WantControl("Set-up token")
		tab.WantValue("Email", heartlocktest.OwnerEmail)
		if strings.Contains(tab.HTML(), heartlocktest.Password) {
			t.Error("the refused form came back with the password in it")
		}

		tab.Fill("Set-up token", s.SetupToken)
		tab.Fill("Password", heartlocktest.Password)
		tab.Click("Set up Heartlock")
		tab.WantText("Heartlock is set up", "Save the encryption key")
		key := browser.Evaluate[string](tab, "document.querySelector('#encryption-key').value")
		if _, err := keyring.ParseKey(key); err != nil {
			t.Errorf("the key of the page is none: %v", err)
		}
		if len(options) == 0 {
			name, content := tab.Download(func() { tab.Click("Download as a file") })
			if name != "heartlock-encryption-key.txt" || strings.TrimSpace(string(content)) != key {
				t.Errorf("the file %s does not hold the key", name)
			}
		}
		tab.Click("Go to Heartlock")
		tab.WantText("Save the encryption key") // not without the tick
		tab.Check("I have saved the key where the server is not.", true)
		tab.Click("Go to Heartlock")
		tab.WantText("No projects yet")
		tab.Any().Click("New project")
		tab.Fill("Name", "First project")
		tab.Click("Create project")
		tab.WantText("First project", "No secrets in Development yet")
		tab.In("navigation", "Environments").Click("Production 0 secrets")
		addSecret(tab, "API_KEY", "the first value", "Of the payment service")
		tab.WantText("API_KEY", "Of the payment service")

		owner := s.Anonymous()
		owner.Call("POST", "/onboarding/", map[string]any{"admin": map[string]any{"email": "x@example.com", "password": heartlocktest.Password}},
			"X-Forwarded-Proto: https").Want(http.StatusNotFound)
		tab.Open("/onboarding/")
		tab.WantNoText("Set-up token")
	})
}

// addSecret adds a secret on the page of an environment.
func addSecret(tab *browser.Tab, key, value, comment string) {
	tab.Only("link").Any().Click("Add secret")
	tab.Fill("Key", key)
	tab.Fill("Value", value)
	tab.Fill("Comment (optional)", comment)
	tab.Only("button").Click("Add secret")
}
