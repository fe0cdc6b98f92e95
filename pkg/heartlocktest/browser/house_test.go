//go:build unix

package browser_test

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

// house is a server that is set up, with its owner.
type house struct {
	*heartlocktest.Server
	t     *testing.T
	owner *heartlocktest.Caller
}

// start starts a server that nobody has set up.
func start(t *testing.T, environ ...string) *heartlocktest.Server {
	t.Helper()
	return heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: environ, Executed: executed.mark})
}

// newHouse starts a server and sets it up.
func newHouse(t *testing.T, environ ...string) *house {
	t.Helper()
	s := start(t, environ...)
	return &house{Server: s, t: t, owner: s.Onboard()}
}

// newHouseWithProject has a project too, with some secrets in development.
func newHouseWithProject(t *testing.T, slug string, secrets map[string]string) *house {
	t.Helper()
	h := newHouse(t)
	h.project(slug, "")
	h.set(slug, "development", secrets)
	return h
}

// project makes a project of the owner.
func (h *house) project(slug, description string) (made api.Project) {
	h.t.Helper()
	name := strings.ToUpper(slug[:1]) + strings.ReplaceAll(slug[1:], "-", " ")
	body := map[string]any{"name": name, "slug": slug, "description": description}
	h.owner.Call("POST", "/projects/", body).Want(http.StatusCreated).Decode(&made)
	return made
}

// set sets secrets of an environment.
func (h *house) set(project, environment string, secrets map[string]string) {
	h.t.Helper()
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(secrets)), 1000) { // what one request may bring
		part := map[string]string{}
		for _, key := range keys {
			part[key] = secrets[key]
		}
		h.owner.Call("POST", secretsOf(project, environment)+"bulk/", map[string]any{"set": part}).Want(http.StatusOK)
	}
}

// value is the value of a secret as the API tells it.
func (h *house) value(project, environment, key string) string {
	h.t.Helper()
	var secret api.Secret
	h.owner.Call("GET", secretsOf(project, environment)+key+"/", nil).Want(http.StatusOK).Decode(&secret)
	if secret.Value == nil {
		h.t.Fatalf("%s came without a value", key)
	}
	return secret.Value.Reveal()
}

// person makes an account, which may be a member of projects, and signs it in.
func (h *house) person(name string) *heartlocktest.Caller {
	h.t.Helper()
	h.AddUser(name + "@example.com")
	return h.Login(name + "@example.com")
}

// tab opens a tab in which somebody is signed in; nil is nobody.
func (h *house) tab(who *heartlocktest.Caller, options ...browser.Option) *browser.Tab {
	h.t.Helper()
	tab := browser.NewTab(h.t, h.URL, options...)
	if who != nil {
		tab.SignIn(who.Cookies)
	}
	return tab
}

func secretsOf(project, environment string) string {
	return "/projects/" + project + "/environments/" + environment + "/secrets/"
}

// bothWays runs a test with and without JavaScript.
func bothWays(t *testing.T, test func(t *testing.T, options ...browser.Option)) {
	t.Helper()
	t.Run("with JavaScript", func(t *testing.T) {
		t.Parallel()
		test(t)
	})
	t.Run("without JavaScript", func(t *testing.T) {
		t.Parallel()
		test(t, browser.WithoutJavaScript)
	})
}

// overTLS puts a proxy before a server that wants to be reached by https, and
// returns its address. Tabs need the option browser.SelfSigned.
func overTLS(t *testing.T, s *heartlocktest.Server) string {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	// A browser that gets to know a certificate breaks some connections off.
	proxy.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	return proxy.URL
}
