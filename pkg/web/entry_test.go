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

const signInPath = "/login/"

// withFactor gives an account a second factor and returns its secret. The code of
// this moment is used up.
func withFactor(t *testing.T, c *heartlocktest.Caller) (secret string, recovery []string) {
	t.Helper()
	var setup api.SecondFactorSetup
	c.Call("POST", "/auth/second-factor/", map[string]any{"password": heartlocktest.Password}).Want(http.StatusOK).Decode(&setup)
	var codes api.RecoveryCodes
	c.Call("POST", "/auth/second-factor/confirm/", map[string]any{"code": code(t, setup.Secret.Reveal(), 0)}).Want(http.StatusOK).Decode(&codes)
	for _, one := range codes.Codes {
		recovery = append(recovery, one.Reveal())
	}
	return setup.Secret.Reveal(), recovery
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, _ *heartlocktest.Caller) {
		c := s.Anonymous()
		asked := open(t, c, "/account/?x=1")
		if asked.Path != "/login/?next=%2Faccount%2F%3Fx%3D1" {
			t.Errorf("nobody is led to %s", asked.Path)
		}
		asked.Lacks(t, "You were signed out")
		wrong := asked.Form(t, signInPath).Submit(t, field("email", heartlocktest.OwnerEmail, "password", "wrong-horse")).wants(t, http.StatusUnauthorized)
		wrong.Has(t, "Invalid email or password.", "Choose a new one").keeps(t, "wrong-horse")
		kept := wrong.Form(t, signInPath)
		if v := kept.Values(); v.Get("email") != heartlocktest.OwnerEmail || v.Get("next") != "/account/?x=1" || v.Get("password") != "" {
			t.Errorf("the form has kept %v", v)
		}
		if page := kept.Submit(t, field("password", heartlocktest.Password)).wants(t, http.StatusOK); page.Path != "/account/?x=1" {
			t.Errorf("led to %s", page.Path)
		}
		signedIn(t, c, heartlocktest.OwnerEmail)
		if page := open(t, c, "/login/?next=/account/"); page.Path != "/account/" {
			t.Errorf("who is signed in is led to %s", page.Path)
		}
		former := c.Cookies["sessionid"]
		out := open(t, c, "/projects/").Form(t, "/logout/").Submit(t, nil).Has(t, "You are signed out.")
		if out.Path != signInPath || c.Cookies["sessionid"] != "" {
			t.Errorf("signing out leads to %s", out.Path)
		}
		c.Cookies["sessionid"] = former
		c.Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
		// The cookie is of a session that has ended.
		open(t, c, "/projects/").Has(t, "You were signed out. Sign in to go on.")
		open(t, c, signInPath).Lacks(t, "You were signed out")
	})
}

// TestSignInLeadsNowhereElse: whatever a link says, the browser stays on this server.
func TestSignInLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	s.Onboard()
	for _, next := range []string{
		"https://evil.example.com/", "//evil.example.com/", `/\evil.example.com/`, `\\evil.example.com`, "/\t/evil.example.com", "javascript:alert(1)",
		"/%09/evil.example.com", "http:/evil.example.com", "evil.example.com", `/"><script>alert(1)</script>`, "///evil.example.com", "/.//evil.example.com",
	} {
		c := s.Anonymous()
		page := open(t, c, "/login/?next="+url.QueryEscape(next))
		if strings.Contains(page.Body, "<script>alert") {
			t.Errorf("%q is markup", next)
		}
		form := page.Form(t, signInPath).Values()
		for _, sent := range []string{form.Get("next"), next} { // also without the page's help
			answer := s.Anonymous().Do("POST", signInPath, field("email", heartlocktest.OwnerEmail, "password", heartlocktest.Password, "next", sent).Encode(),
				"Content-Type: application/x-www-form-urlencoded").Want(http.StatusSeeOther)
			to := answer.Header.Get("Location")
			if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) || strings.Contains(to, "\t") || strings.Contains(to, "/./") {
				t.Errorf("%q leads to %q", next, to)
			}
		}
	}
}

func TestSignInWithASecondFactor(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		secret, recovery := withFactor(t, owner)
		c := s.Anonymous()
		start := open(t, c, "/login/?next=/account/").Form(t, signInPath)
		if start.Values().Has("code") {
			t.Error("everybody is asked for a code")
		}
		asked := start.Submit(t, field("email", heartlocktest.OwnerEmail, "password", heartlocktest.Password)).wants(t, http.StatusUnauthorized)
		asked.Has(t, "This account has a second factor.").Lacks(t, "Invalid email").keeps(t, heartlocktest.Password)
		form := asked.Form(t, signInPath)
		refused := form.Submit(t, field("password", heartlocktest.Password, "code", "000000")).wants(t, http.StatusUnauthorized)
		refused.Has(t, "This is not a code that serves now.").keeps(t, "000000")
		form = refused.Form(t, signInPath)
		if page := form.Submit(t, field("password", heartlocktest.Password, "code", code(t, secret, 1))).wants(t, http.StatusOK); page.Path != "/account/" {
			t.Errorf("led to %s", page.Path)
		}
		signedIn(t, c, heartlocktest.OwnerEmail)
		other := s.Anonymous()
		form = open(t, other, signInPath).Form(t, signInPath).Submit(t, field("email", heartlocktest.OwnerEmail, "password", heartlocktest.Password)).Form(t, signInPath)
		form.Submit(t, field("password", heartlocktest.Password, "code", recovery[0])).wants(t, http.StatusOK)
		signedIn(t, other, heartlocktest.OwnerEmail)
		wrong := send(t, s.Anonymous(), signInPath, field("email", heartlocktest.OwnerEmail, "password", "wrong-horse", "code", code(t, secret, 2)))
		wrong.wants(t, http.StatusUnauthorized).Has(t, "Invalid email or password.").Lacks(t, "second factor")
	})
}

// TestWayToTheSecondFactor: who must have a second factor and has none comes to its
// page by signing in.
func TestWayToTheSecondFactor(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"HEARTLOCK_REQUIRE_SECOND_FACTOR=everyone"}})
	s.Onboard()
	c := s.Anonymous()
	page := open(t, c, "/projects/").Form(t, signInPath).Submit(t, field("email", heartlocktest.OwnerEmail, "password", heartlocktest.Password))
	if page.Path != "/account/second-factor/" {
		t.Errorf("led to %s", page.Path)
	}
}

func TestSignInIsThrottled(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	s.Onboard()
	form := open(t, s.Anonymous(), signInPath).Form(t, signInPath)
	for range 5 {
		form.Submit(t, field("email", "ann@example.com", "password", "wrong-horse")).wants(t, http.StatusUnauthorized)
	}
	page := form.Submit(t, field("email", "ann@example.com", "password", "wrong-horse")).wants(t, http.StatusTooManyRequests)
	page.Has(t, "Too many attempts have failed. Try again in 15 minutes.", "Choose a new one").keeps(t, "wrong-horse")
	if page.Header.Get("Retry-After") != "900" {
		t.Errorf("Retry-After: %q", page.Header.Get("Retry-After"))
	}
}

// TestSignInForAnother: no other site signs anybody in, to whichever account.
func TestSignInForAnother(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	s.Onboard()
	values := field("email", heartlocktest.OwnerEmail, "password", heartlocktest.Password).Encode()
	for _, header := range []string{"Origin: https://evil.example.com", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Referer: https://evil.example.com/"} {
		c := s.Anonymous()
		page := c.Do("POST", signInPath, values, "Content-Type: application/x-www-form-urlencoded", header)
		if page.Status != http.StatusForbidden || len(c.Cookies) != 0 || !strings.Contains(page.Body, "does not come from a page of your present session") {
			t.Errorf("%s: %d %v", header, page.Status, c.Cookies)
		}
	}
	if n := s.Count("sessions", "1 = 1"); n != 1 { // Onboard's
		t.Errorf("%d sessions", n)
	}
}

func TestSignInShowsTextAsText(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	s.Onboard()
	const attack = `"><script>alert(1)</script>'{{.Me}}`
	for _, name := range []string{"email", "password", "code", "next"} {
		values := field("email", "ann@example.com", "password", "wrong-horse", "code", "1", "next", "/")
		values.Set(name, attack)
		page := send(t, s.Anonymous(), signInPath, values).wants(t, http.StatusUnauthorized)
		if strings.Contains(page.Body, "<script>alert") {
			t.Errorf("%s: %s", name, page.Body)
		}
	}
}

// TestSignInWithSSO offers the provider, and the way back to where somebody wanted to
// go.
func TestSignInWithSSO(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	page := open(t, w.Anonymous(), "/login/?next=/account/").Has(t, "Sign in with single sign-on")
	if len(page.All("a", "href", "/oidc/login/?next=%2faccount%2f")) != 1 {
		t.Errorf("the button leads elsewhere: %s", page.Body)
	}
	plain := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	plain.Onboard()
	open(t, plain.Anonymous(), signInPath).Lacks(t, "single sign-on")
	visit(t, plain.Anonymous(), "/oidc/login/").wants(t, http.StatusNotFound).Has(t, "Single sign-on is not available on this server.")
}

// TestErrorPages: a person gets a page, a program a problem document, of the same
// failure.
func TestErrorPages(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	large := "name=" + strings.Repeat("x", 4<<20)
	token := "csrfmiddlewaretoken=" + owner.Cookies["csrftoken"]
	const form = "Content-Type: application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		"another host":     {"GET", "/projects/", "", []string{"Host: evil.example.com"}, http.StatusBadRequest, "Invalid Host header."},
		"a broken form":    {"POST", "/projects/", "name=%zz&" + token, []string{form}, http.StatusBadRequest, "not escaped as forms are"},
		"another session":  {"POST", "/projects/", "name=x", []string{form}, http.StatusForbidden, "present session"},
		"nothing":          {"GET", "/nothing/", "", nil, http.StatusNotFound, "There is nothing here"},
		"another method":   {"DELETE", "/projects/", "", nil, http.StatusMethodNotAllowed, "can not be asked for in this way"},
		"too large":        {"POST", "/projects/", large, []string{form}, http.StatusRequestEntityTooLarge, "more than the server takes"},
		"another type":     {"POST", "/projects/", "{}", nil, http.StatusUnsupportedMediaType, "Send this form from its page."},
		"dots in the path": {"GET", "/projects/../x/", "", nil, http.StatusNotFound, "There is nothing here"},
	} {
		page := owner.Do(c.method, c.path, c.body, c.headers...)
		if page.Status != c.status || !strings.Contains(page.Body, c.says) || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") || strings.Contains(page.Header.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: %d %v %.300s", name, page.Status, page.Header, page.Body)
		}
	}
	for path, status := range map[string]int{"/nothing/": http.StatusNotFound, "/projects/nothing/": http.StatusNotFound} {
		owner.Call("GET", path, nil).WantProblem(status)
	}
	owner.Call("DELETE", "/projects/", nil).WantProblem(http.StatusMethodNotAllowed)

	s.Exec("ALTER TABLE memberships RENAME TO gone")
	broken := owner.Do("GET", "/projects/", nil).Want(http.StatusInternalServerError)
	if !strings.Contains(broken.Body, "Something went wrong") || strings.Contains(broken.Body, "memberships") {
		t.Errorf("a page about a broken database: %s", broken.Body)
	}
	owner.Call("GET", "/projects/", nil).WantProblem(http.StatusInternalServerError)

	waiting := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: "postgres://nobody:x@127.0.0.1:1/none", Waiting: true})
	page := waiting.Anonymous().Do("GET", "/projects/", nil).Want(http.StatusServiceUnavailable)
	if !strings.Contains(page.Body, "The server is starting. Try again in 2 seconds.") && !strings.Contains(page.Body, "Try again in 2 seconds.") || page.Header.Get("Retry-After") != "2" {
		t.Errorf("while it starts: %v %s", page.Header, page.Body)
	}
	waiting.Anonymous().Call("GET", "/projects/", nil).WantProblem(http.StatusServiceUnavailable)
	waiting.StopBegin()
	_ = waiting.Wait() // it says that it was stopped before its database was there
}

// TestSignOutFromAnErrorPage: browsers say of a form on a page with the policy
// "no-referrer" that it comes from the origin "null".
func TestSignOutFromAnErrorPage(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	page := visit(t, owner, "/nothing/").wants(t, http.StatusNotFound)
	if policy := page.Header.Get("Referrer-Policy"); policy != "strict-origin" {
		t.Errorf("Referrer-Policy: %q", policy)
	}
	page.Form(t, "/logout/").Submit(t, nil).Has(t, "You are signed out.")
}
