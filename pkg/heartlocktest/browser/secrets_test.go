//go:build unix

package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

const shop = "/projects/shop/environments/development/"

// dotenv is what a team begins with: quotes, a line break, an empty value.
const dotenv = `# the shop
DATABASE_URL=postgres://shop:canary-password@db/shop
MOTD="line one\nline two"
EMPTY=
PRICE='$5 & more'
`

func TestADotenvTextIsImported(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", map[string]string{"EMPTY": "not empty yet", "STAYS": "as it is"})
		tab := h.tab(h.owner, options...)
		tab.Open(shop)
		tab.Click("Import")
		tab.Fill("Secrets", "NOT A LINE\nA=1\nA=2\n")
		tab.Click("Preview")
		tab.WantText("Nothing was taken")
		tab.Fill("Secrets", dotenv)
		tab.Check("Replace values that are different", true)
		tab.Click("Preview")
		tab.WantText("What would change", "Created", "DATABASE_URL", "Replaced", "EMPTY")
		if h.value("shop", "development", "EMPTY") != "not empty yet" {
			t.Error("the preview has changed something")
		}
		tab.Click("Import 4 secrets")
		tab.WantText("The text is imported.", "DATABASE_URL", "MOTD", "STAYS")
		if got := h.value("shop", "development", "MOTD"); got != "line one\nline two" {
			t.Errorf("MOTD is %q", got)
		}
		if got := h.value("shop", "development", "PRICE"); got != "$5 & more" {
			t.Errorf("PRICE is %q", got)
		}
		if strings.Contains(tab.HTML(), "canary-password") {
			t.Error("the table holds a value that nobody has asked for")
		}
	})
}

// TestASecretFromItsPage does everything that the page of a secret can do.
func TestASecretFromItsPage(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", map[string]string{"API_KEY": "first-canary"})
		tab := h.tab(h.owner, options...)
		tab.Open(shop)
		if strings.Contains(tab.HTML(), "first-canary") {
			t.Error("the table holds the value")
		}
		tab.Click("API_KEY")
		if strings.Contains(tab.HTML(), "first-canary") {
			t.Error("the page holds the value before it is revealed")
		}
		tab.Click("Reveal")
		tab.WantValue("Value", "first-canary")
		tab.Fill("Value", "second value\nof two lines")
		tab.Click("Save value")
		tab.WantText("Version 2")
		if got := h.value("shop", "development", "API_KEY"); got != "second value\nof two lines" {
			t.Errorf("it is %q", got)
		}
		tab.Fill("Key", "PAYMENT_KEY")
		tab.Fill("Comment (optional)", "Of the payment service")
		tab.Click("Save key and comment")
		tab.WantText("PAYMENT_KEY", "Of the payment service")

		tab.Click("Versions")
		tab.WantText("Version 1", "Version 2")
		if html := tab.HTML(); strings.Contains(html, "first-canary") || strings.Contains(html, "second value") {
			t.Error("the history holds values that nobody has asked for")
		}
		tab.Click("Reveal version 1")
		tab.WantText("first-canary")
		tab.Click("Roll back to version 1")
		tab.WantText("The secret has that value again, as a new version.")
		if got := h.value("shop", "development", "PAYMENT_KEY"); got != "first-canary" {
			t.Errorf("after the roll back it is %q", got)
		}

		tab.Open(shop + "secrets/PAYMENT_KEY/")
		tab.Click("Delete this secret")
		tab.Click("Delete PAYMENT_KEY")
		tab.WantText("The secret is deleted.")
		h.owner.Call("GET", secretsOf("shop", "development")+"PAYMENT_KEY/", nil).Want(http.StatusNotFound)
		tab.Open(shop + "deleted/")
		tab.Click("Bring back PAYMENT_KEY")
		tab.WantText("The secret is back, with its last value.")
		if got := h.value("shop", "development", "PAYMENT_KEY"); got != "first-canary" {
			t.Errorf("brought back it is %q", got)
		}
	})
}

func TestAnEnvironmentIsRestored(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", map[string]string{"A": "one", "B": "two"})
		h.set("shop", "development", map[string]string{"A": "changed", "C": "new"})
		tab := h.tab(h.owner, options...)
		tab.Open(shop)
		tab.Click("History")
		tab.Click("Revision 1")
		tab.Click("Reveal values")
		tab.WantText("one", "changed")
		tab.Click("Restore this state…")
		tab.WantText("Restore Development to revision 1?", "Former value", "Deleted")
		tab.Click("Restore revision 1")
		tab.WantText("The environment is back at that state, as a new revision.")
		if got := h.value("shop", "development", "A"); got != "one" {
			t.Errorf("A is %q", got)
		}
		h.owner.Call("GET", secretsOf("shop", "development")+"C/", nil).Want(http.StatusNotFound)
	})
}

func TestAnEnvironmentIsExported(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", map[string]string{"A": "one two", "B": "it's $5"})
		tab := h.tab(h.owner, options...)
		tab.Open(shop)
		tab.Click("Export")
		if strings.Contains(tab.HTML(), "one two") {
			t.Error("the page holds values before they are asked for")
		}
		name, content := tab.Download(func() { tab.Click("Download") })
		if !strings.Contains(string(content), "one two") || !strings.HasSuffix(name, ".env") {
			t.Errorf("%s: %s", name, content)
		}
		tab.Click("Show it here")
		tab.WantText("one two", "Hide")
	})
}

func TestEnvironmentsAreComparedAndPromoted(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", map[string]string{"SAME": "same", "OTHER": "dev", "ONLY_DEV": "dev-canary"})
		h.set("shop", "staging", map[string]string{"SAME": "same", "OTHER": "stage", "ONLY_STAGING": "x"})
		tab := h.tab(h.owner, options...)
		tab.Open("/projects/shop/matrix/")
		tab.WantText("of 4 keys are not the same everywhere", "ONLY_DEV", "ONLY_STAGING")
		if strings.Contains(tab.HTML(), "dev-canary") {
			t.Error("the matrix holds values")
		}
		tab.Click("– copy ONLY_STAGING to Production")
		tab.Click("Copy to Production")
		tab.WantText("The secret is copied.")
		if got := h.value("shop", "production", "ONLY_STAGING"); got != "x" {
			t.Errorf("copied it is %q", got)
		}

		tab.Open("/projects/shop/matrix/")
		tab.Click("Compare two, copy secrets")
		tab.Select("Copy from", "Development")
		tab.Select("to", "Staging")
		tab.Only("button").Click("Compare")
		tab.WantText("Development compared with Staging", "3 differences")
		tab.Check("Copy OTHER", true)
		tab.Check("Copy ONLY_DEV", true)
		tab.Click("Preview the selected")
		tab.WantText("What would change in Staging", "Created", "ONLY_DEV", "Replaced", "OTHER")
		tab.Click("Copy to Staging")
		tab.WantText("The secrets are copied.")
		if a, b := h.value("shop", "staging", "OTHER"), h.value("shop", "staging", "ONLY_DEV"); a != "dev" || b != "dev-canary" {
			t.Errorf("promoted they are %q and %q", a, b)
		}
	})
}

// TestTwoPeopleSaveOneSecretWithoutJavaScript has the later of two see both values
// on a page of its own. With scripts a dialog does it, see secrettable_test.go.
func TestTwoPeopleSaveOneSecretWithoutJavaScript(t *testing.T) {
	t.Parallel()
	h := newHouseWithProject(t, "shop", map[string]string{"API_KEY": "first"})
	tab := h.tab(h.owner, browser.WithoutJavaScript)
	tab.Open(shop + "secrets/API_KEY/")
	h.set("shop", "development", map[string]string{"API_KEY": "theirs"})
	tab.Fill("Value", "mine")
	tab.Click("Save value")
	tab.WantText("has changed this secret while you were editing it.", "theirs")
	tab.WantValue("Value", "mine")
	if got := h.value("shop", "development", "API_KEY"); got != "theirs" {
		t.Errorf("before anything was chosen it is %q", got)
	}
	tab.Fill("Value", "mine and theirs")
	tab.Click("Save this value")
	tab.WantText("Saved.")
	if got := h.value("shop", "development", "API_KEY"); got != "mine and theirs" {
		t.Errorf("it is %q", got)
	}
}
