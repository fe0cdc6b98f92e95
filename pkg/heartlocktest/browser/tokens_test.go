//go:build unix

package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

// TestAServiceTokenIsMadeAndUsed makes a token on the page and lets a program use
// it, as the page says.
func TestAServiceTokenIsMadeAndUsed(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouseWithProject(t, "shop", map[string]string{"API_KEY": "value-for-the-job"})
		h.set("shop", "production", map[string]string{"API_KEY": "value-of-production"})
		tab := h.tab(h.owner, options...)
		tab.Open("/projects/shop/tokens/")
		tab.WantText("No service tokens yet")
		tab.Any().Click("New token")
		tab.Fill("Name", "nightly job")
		tab.Check("Development", true)
		tab.Check("Production", false)
		tab.Check("in 30 days", true)
		tab.Click("Create token")
		tab.WantText("nightly job", "Copy it now: it is not shown again.", "How to use it")
		token := browser.Evaluate[string](tab, "document.querySelector('#token').textContent")
		if text := tab.HTML(); strings.Count(text, token) != 1 {
			t.Errorf("the page holds the token %d times", strings.Count(text, token))
		}
		if len(options) == 0 {
			tab.HoldClipboard()
			tab.Click("Copy the token")
			tab.WantClipboard(token)
		}

		job := h.WithToken("job", token)
		job.Call("GET", secretsOf("shop", "development")+"API_KEY/", nil).Want(http.StatusOK)
		job.Call("GET", secretsOf("shop", "production")+"API_KEY/", nil).Want(http.StatusNotFound)

		tab.Click("Done")
		tab.WantText("nightly job", "development")
		if strings.Contains(tab.HTML(), token) {
			t.Error("the list shows the token")
		}
		tab.Click("Revoke the token nightly job")
		tab.In("dialog", "Revoke “nightly job”?").Click("Revoke token")
		tab.WantText("No service tokens yet")
		job.Call("GET", secretsOf("shop", "development")+"API_KEY/", nil).Want(http.StatusUnauthorized)
	})
}
