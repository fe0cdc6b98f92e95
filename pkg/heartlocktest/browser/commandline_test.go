//go:build unix

package browser_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

const verifier = "a-verifier-of-more-than-43-characters-as-RFC-7636-asks"

// listener is where a command line waits for the browser; what came is in the
// channel.
func listener(t *testing.T) (callback string, came chan url.Values) {
	t.Helper()
	came = make(chan url.Values, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>Done</title><link rel="icon" href="data:,"><h1>Back in the terminal</h1></html>`))
		if r.URL.Path == "/callback" {
			came <- r.URL.Query()
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/callback", came
}

// cliLoginPath is what the command line opens the browser at.
func cliLoginPath(callback string) string {
	sum := sha256.Sum256([]byte(verifier))
	return "/cli/login/?" + url.Values{
		"callback": {callback}, "state": {"state-of-the-command-line"}, "machine": {"laptop"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}.Encode()
}

func TestTheCommandLineIsSignedIn(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t)
		callback, came := listener(t)
		tab := h.tab(nil, options...)
		tab.Allow(http.StatusUnauthorized)
		tab.AllowOrigin(callback[:len(callback)-len("/callback")])
		tab.Open(cliLoginPath(callback))
		signIn(tab, heartlocktest.OwnerEmail, heartlocktest.Password)
		tab.WantText("Sign in the command line?", heartlocktest.OwnerEmail, "laptop")
		tab.Click("Sign in the command line")
		tab.WantText("Back in the terminal")
		query := <-came
		if query.Get("state") != "state-of-the-command-line" {
			t.Errorf("the command line was sent %v", query)
		}
		var token api.CLIToken
		body := map[string]any{"code": query.Get("code"), "code_verifier": verifier}
		h.Anonymous().Call("POST", "/auth/cli-token/", body).Want(http.StatusOK).Decode(&token)
		h.WithToken("cli", token.Token.Reveal()).Call("GET", "/auth/me/", nil).Want(http.StatusOK)
	})
}

func TestTheCommandLineIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	callback, came := listener(t)
	tab := h.tab(h.owner)
	tab.AllowOrigin(callback[:len(callback)-len("/callback")])
	tab.Open(cliLoginPath(callback))
	tab.Click("It was not me")
	tab.WantText("Back in the terminal")
	if query := <-came; query.Get("error") != "access_denied" || query.Get("code") != "" {
		t.Errorf("the command line was sent %v", query)
	}
	if status := tab.Open(cliLoginPath("https://elsewhere.example.com/callback")); status != http.StatusBadRequest {
		t.Errorf("a command line elsewhere: %d", status)
	}
}

func TestADeviceIsSignedIn(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t)
		var device api.DeviceAuthorization
		h.Anonymous().Call("POST", "/auth/device/", map[string]any{"machine": "build-server"}).Want(http.StatusOK).Decode(&device)
		tab := h.tab(h.owner, options...)
		tab.Open("/device/")
		tab.Fill("Code", "WRNG-CODE")
		tab.Click("Continue")
		tab.WantControl("Continue")
		tab.Fill("Code", device.UserCode)
		tab.Click("Continue")
		tab.WantText("Sign in this device?", "build-server", device.UserCode)
		tab.Click("Sign in this device")
		tab.WantText("Go back to its terminal")
		var token api.CLIToken
		h.Anonymous().Call("POST", "/auth/cli-token/", map[string]any{"device_code": device.DeviceCode.Reveal()}).Want(http.StatusOK).Decode(&token)
		h.WithToken("device", token.Token.Reveal()).Call("GET", "/auth/me/", nil).Want(http.StatusOK)
	})
}
