//go:build unix

package browser_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

// between is an HTTP proxy for tabs, which find the server behind
// heartlocktest.OpenIDHost, where the provider expects it.
func between(t *testing.T, s *heartlocktest.Server) (address string) {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.Host = r.In.Host
		if r.In.Host == heartlocktest.OpenIDHost {
			r.Out.URL.Host = target.Host
		}
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect { // there is no TLS here
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.Listener.Addr().String()
}

// TestSingleSignOn goes to a provider of another house and comes back, as a person
// does, and out again.
func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	provider := heartlocktest.StartOpenIDProvider(t, false, heartlocktest.OpenIDUser{
		Subject: "ann-1", Username: "ann", Email: "ann@example.com", EmailVerified: true, FirstName: "Ann", LastName: "Lee",
	})
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t, append(provider.Environ(true), "OIDC_CREATE_UNKNOWN_USER=True")...)
		tab := browser.NewTab(t, "http://"+heartlocktest.OpenIDHost, append(options, browser.Proxy(between(t, h.Server)))...)
		tab.AllowOrigin(provider.Issuer)
		tab.Open("/projects/?view=x")
		tab.Click("Sign in with single sign-on")
		fillAtProvider(tab)
		tab.WantPath("/projects/?view=x")
		tab.WantText("No projects yet", "Ann Lee")

		tab.Open("/account/identities/")
		tab.WantText("ann@example.com", "Your only way in")
		tab.Click("Ann Lee")
		tab.Click("Sign out")
		tab.WantText("Sign in")
		tab.Open("/projects/")
		tab.WantPath("/login/?next=%2Fprojects%2F")
	})
}

// fillAtProvider signs in as ann on whatever form the provider shows.
func fillAtProvider(tab *browser.Tab) {
	tab.WantControl("Login")
	tab.Fill("Username:", "ann")
	tab.Fill("Password:", heartlocktest.Password)
	tab.Click("Login")
}

// TestSingleSignOnIsSetUp fills in the page of the administration.
func TestSingleSignOnIsSetUp(t *testing.T) {
	t.Parallel()
	provider := heartlocktest.StartOpenIDProvider(t, false)
	bothWays(t, func(t *testing.T, options ...browser.Option) {
		h := newHouse(t)
		tab := h.tab(h.owner, options...)
		tab.Open("/admin/oidc/")
		for _, field := range [][2]string{
			{"Client ID", heartlocktest.OpenIDClient},
			{"Client secret (optional)", heartlocktest.OpenIDSecret},
			{"Authorization endpoint", provider.Issuer + "/auth"},
			{"Token endpoint", provider.Issuer + "/oauth/token"},
			{"User info endpoint", provider.Issuer + "/userinfo"},
		} {
			tab.Fill(field[0], field[1])
		}
		tab.Click("Test without saving")
		tab.WantText("endpoint")
		if !tab.Has("Save settings") {
			t.Fatal("the form is gone")
		}
		tab.Fill("Client secret (optional)", heartlocktest.OpenIDSecret)
		tab.Click("Save settings")
		tab.WantText("A secret is set, and is shown to nobody.")
		stranger := h.tab(nil, options...)
		stranger.Open("/login/")
		stranger.WantControl("Sign in with single sign-on")
		h.Anonymous().Do("GET", "/oidc/login/", nil).Want(http.StatusSeeOther)
	})
}
