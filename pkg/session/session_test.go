package session_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const login = "/auth/login/"

func credentials(email, password string) map[string]any {
	return map[string]any{"email": email, "password": password}
}

// TestLoginMakesANewSession: what the browser brought is never what it signs in
// with, and the session that it had ends.
func TestLoginMakesANewSession(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		planted := s.Anonymous()
		planted.Cookies["sessionid"] = strings.Repeat("a", 43)
		planted.Cookies["csrftoken"] = "planted"
		planted.Call("POST", login, credentials(heartlocktest.OwnerEmail, heartlocktest.Password)).Want(200)
		if planted.Cookies["sessionid"] == strings.Repeat("a", 43) || planted.Cookies["csrftoken"] == "planted" {
			t.Error("the planted cookie was kept")
		}
		replay := s.Anonymous()
		replay.Cookies["sessionid"] = strings.Repeat("a", 43)
		replay.Call("GET", "/auth/me/", nil).WantProblem(401)

		former := *owner
		former.Cookies = map[string]string{"sessionid": owner.Cookies["sessionid"], "csrftoken": owner.Cookies["csrftoken"]}
		owner.Call("POST", login, credentials(heartlocktest.OwnerEmail, heartlocktest.Password)).Want(200)
		if former.Cookies["sessionid"] == owner.Cookies["sessionid"] || former.Cookies["csrftoken"] == owner.Cookies["csrftoken"] {
			t.Error("the same session again")
		}
		former.Call("GET", "/auth/me/", nil).WantProblem(401)
		if strings.Contains(s.Dump(), owner.Cookies["sessionid"]) {
			t.Error("the session token is stored")
		}
		for _, bad := range []string{"", "x", owner.Cookies["sessionid"] + "a", owner.Cookies["sessionid"][1:], strings.ToLower(owner.Cookies["sessionid"]), "' OR 1=1 --"} {
			c := s.Anonymous()
			c.Cookies["sessionid"] = bad
			c.Call("GET", "/auth/me/", nil).WantProblem(401)
		}
	})
}

func TestLogoutAndEndedSessionsCanNotBeReplayed(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		replay := owner.On(s)
		owner.Call("POST", "/auth/logout/", nil).Want(204)
		if _, known := owner.Cookies["heartlock_browser"]; !known || len(owner.Cookies) != 1 { // which opens nothing
			t.Errorf("the browser keeps %v", owner.Cookies)
		}
		replay.Call("GET", "/auth/me/", nil).WantProblem(401)
		replay.Call("POST", "/auth/logout/", nil).WantProblem(401)

		first, second := s.Login(heartlocktest.OwnerEmail), s.Login(heartlocktest.OwnerEmail)
		var page api.Page[api.Session]
		first.Call("GET", "/auth/sessions/", nil).Want(200).Decode(&page)
		if len(page.Results) != 2 {
			t.Fatalf("%d sessions", len(page.Results))
		}
		for _, one := range page.Results {
			if !one.Current {
				first.Call("DELETE", "/auth/sessions/"+one.ID+"/", nil).Want(204)
			}
		}
		second.Call("GET", "/auth/me/", nil).WantProblem(401)
		first.Call("GET", "/auth/me/", nil).Want(200)

		for column, value := range map[string]string{"expires_at": "1", "last_seen_at": "1"} {
			c := s.Login(heartlocktest.OwnerEmail)
			c.Call("GET", "/auth/me/", nil).Want(200)
			s.Exec("UPDATE sessions SET " + column + " = " + value)
			c.Call("GET", "/auth/me/", nil).WantProblem(401)
		}
	})
}

// TestNewPasswordEndsTheOtherSessions on every server at once.
func TestNewPasswordEndsTheOtherSessions(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		const changed = "another-horse-entirely"
		replica := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Dir: s.Dir, DatabaseURL: s.DatabaseURL})
		second := s.Login(heartlocktest.OwnerEmail)
		third := s.Login(heartlocktest.OwnerEmail)
		third.On(replica).Call("GET", "/auth/me/", nil).Want(200)
		var token api.PersonalToken
		owner.Call("POST", "/auth/tokens/", map[string]any{"name": "cli"}).Want(201).Decode(&token)
		before := owner.On(s)

		change := func(current, next string) heartlocktest.Answer {
			return owner.Call("POST", "/auth/password/", map[string]any{"current_password": current, "new_password": next})
		}
		change("wrong", changed).WantProblem(400)
		for _, weak := range []string{"short", "12345678901", "owner-owner", "my-Heartlock-1", "aaaaaaaaaaaa", strings.Repeat("x", 1025)} {
			change(heartlocktest.Password, weak).WantProblem(400)
		}
		second.Call("GET", "/auth/me/", nil).Want(200)
		change(heartlocktest.Password, changed).Want(204)
		for _, c := range []*heartlocktest.Caller{second, third, before} {
			c.Call("GET", "/auth/me/", nil).WantProblem(401)
			c.On(replica).Call("GET", "/auth/me/", nil).WantProblem(401)
		}
		owner.Call("GET", "/auth/me/", nil).Want(200)
		owner.Call("PATCH", "/auth/me/", map[string]any{"first_name": "New"}).Want(200)
		s.WithToken("cli", token.Token.Reveal()).Call("GET", "/auth/me/", nil).Want(200) // revoked one by one
		s.Anonymous().Call("POST", login, credentials(heartlocktest.OwnerEmail, heartlocktest.Password)).WantProblem(401)
		s.Anonymous().Call("POST", login, credentials(heartlocktest.OwnerEmail, changed)).Want(200)
	})
}

// TestNewSecretKeyEndsSessionsAndNothingElse: a machine's token must survive
// what an operator does to people's sessions.
func TestNewSecretKeyEndsSessionsAndNothingElse(t *testing.T) {
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		first := "SECRET_KEY=first-4f9d8c7b6a5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d"
		second := "SECRET_KEY=second-0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071829"
		s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: []string{first}})
		owner := s.Onboard()
		owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
		const secret = "/projects/shop/environments/development/secrets/KEY/"
		owner.Call("PUT", secret, map[string]any{"value": "kept"}).Want(201)
		var made api.ServiceToken
		owner.Call("POST", "/projects/shop/tokens/", map[string]any{"name": "ci", "environments": []string{"development"}, "access": "read"}).Want(201).Decode(&made)
		ci := s.WithToken("ci", made.Token.Reveal())

		s.Restart(second, "SECRET_KEY_FALLBACKS="+strings.TrimPrefix(first, "SECRET_KEY="))
		owner.Call("GET", "/auth/me/", nil).Want(200)
		owner.Call("PATCH", "/auth/me/", map[string]any{"first_name": "Still"}).Want(200)
		s.Restart(second)
		owner.Call("GET", "/auth/me/", nil).WantProblem(401)
		var got api.Secret
		ci.Call("GET", secret, nil).Want(200).Decode(&got)
		if got.Value.Reveal() != "kept" {
			t.Error("another value came back")
		}
		s.Login(heartlocktest.OwnerEmail).Call("GET", secret, nil).Want(200)
	})
}

// TestFailedLoginsLookAlike: nothing but the password tells a stranger that an
// account exists.
func TestFailedLoginsLookAlike(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		s.SetActive(s.AddUser("inactive@example.com"), false)
		s.AddUser("sso@example.com")
		s.Exec("UPDATE users SET password_hash = '' WHERE email = 'sso@example.com'")
		s.AddUser("damaged@example.com")
		s.Exec("UPDATE users SET password_hash = 'not a hash' WHERE email = 'damaged@example.com'")
		want := s.Anonymous().Call("POST", login, credentials(heartlocktest.OwnerEmail, "wrong-password"))
		p := want.WantProblem(401)
		if p.Detail != "Invalid email or password." || want.Header.Get("Set-Cookie") != "" || want.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%+v %v", p, want.Header)
		}
		for _, c := range []struct{ email, password string }{
			{"nobody@example.com", heartlocktest.Password},
			{"inactive@example.com", heartlocktest.Password},
			{"inactive@example.com", "wrong-password"},
			{"sso@example.com", heartlocktest.Password},
			{"sso@example.com", ""},
			{"damaged@example.com", heartlocktest.Password},
			{"Typed-Into-The-Wrong-Field", heartlocktest.Password},
			{"", ""},
			{heartlocktest.OwnerEmail, ""},
			{heartlocktest.OwnerEmail, heartlocktest.Password + " "},
			{heartlocktest.OwnerEmail, strings.Repeat("x", 100_000)},
			{strings.Repeat("x", 100_000), "x"},
			{"owner@example.com\x00", heartlocktest.Password},
		} {
			if got := s.Anonymous().Call("POST", login, credentials(c.email, c.password)); got.Canonical() != want.Canonical() {
				t.Errorf("%.40q: %s", c.email, got.Canonical())
			}
		}
		// One account has one spelling.
		s.Anonymous().Call("POST", login, credentials("OWNER@Example.COM", heartlocktest.Password)).Want(200)
		if n := s.Count("audit_events", "action = 'auth.login' AND outcome = 'refused'"); n != 14 {
			t.Errorf("%d failed logins are on record, want 14", n)
		}
		if strings.Contains(strings.ToLower(s.Dump()), "wrong-field") {
			t.Error("the trail holds what was typed into the field of the address")
		}
	})
}

// TestForeignPagesCanNotAct goes through the whole server: which requests need
// the origin, which the token, and which neither.
func TestForeignPagesCanNotAct(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"HEARTLOCK_APP_URL=https://secrets.example.com", "CSRF_TRUSTED_ORIGINS=https://app.example.com"}})
	s.Anonymous().Call("POST", "/onboarding/", map[string]any{"admin": credentials(heartlocktest.OwnerEmail, heartlocktest.Password)}, "Origin: https://evil.com").WantProblem(403)
	owner := s.Onboard()
	good := credentials(heartlocktest.OwnerEmail, heartlocktest.Password)
	create := map[string]any{"name": "x"}

	for _, foreign := range []string{"Origin: https://evil.com", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Referer: https://evil.com/"} {
		if got := s.Anonymous().Call("POST", login, good, foreign); got.Header.Get("Set-Cookie") != "" || got.Status != 403 {
			t.Errorf("login with %s: %d", foreign, got.Status)
		}
		owner.Call("POST", "/auth/tokens/", create, foreign).WantProblem(403)
		owner.Call("POST", "/auth/logout/", nil, foreign).WantProblem(403)
		owner.Call("GET", "/auth/me/", nil, foreign).Want(200)
	}
	for _, own := range []string{"Origin: " + s.URL, "Origin: https://secrets.example.com", "Origin: https://app.example.com", "Sec-Fetch-Site: same-origin", "Referer: " + s.URL + "/page"} {
		owner.Call("PATCH", "/auth/me/", map[string]any{"first_name": "x"}, own).Want(200)
		s.Anonymous().Call("POST", login, good, own).Want(200)
	}

	for token, detail := range map[string]string{"": "CSRF Failed: CSRF token missing.", "x": "CSRF Failed: CSRF token incorrect."} {
		c := owner.On(s)
		if p := c.Call("POST", "/auth/tokens/", create, "X-CSRFToken: "+token).WantProblem(403); p.Detail != detail {
			t.Errorf("%q: %q", token, p.Detail)
		}
	}
	c := owner.On(s)
	delete(c.Cookies, "csrftoken")
	if p := c.Call("POST", "/auth/tokens/", create).WantProblem(403); p.Detail != "CSRF Failed: CSRF cookie not set." {
		t.Errorf("%q", p.Detail)
	}
	other := s.Login(heartlocktest.OwnerEmail)
	owner.Call("POST", "/auth/tokens/", create, "X-CSRFToken: "+other.Cookies["csrftoken"]).WantProblem(403)
	owner.Call("POST", "/auth/tokens/?csrfmiddlewaretoken="+owner.Cookies["csrftoken"], create, "X-CSRFToken: ").WantProblem(403)

	// A browser does not send tokens by itself, so they need none of it, also
	// beside a cookie; and a bad one does not fall back to the cookie.
	var made api.PersonalToken
	owner.Call("POST", "/auth/tokens/", create).Want(201).Decode(&made)
	s.WithToken("own", made.Token.Reveal()).Call("PATCH", "/auth/me/", map[string]any{"first_name": "y"}, "Origin: https://evil.com").Want(200)
	owner.Call("PATCH", "/auth/me/", map[string]any{"first_name": "z"}, "Authorization: Bearer "+made.Token.Reveal(), "X-CSRFToken: ", "Origin: null").Want(200)
	owner.Call("PATCH", "/auth/me/", map[string]any{"first_name": "z"}, "Authorization: Bearer x").WantProblem(401)

	// A form of another site can send only these types.
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"} {
		s.Anonymous().Call("POST", login, `{"email":"owner@example.com","password":"`+heartlocktest.Password+`"}`, "Content-Type: "+kind).WantProblem(415)
	}
}

// TestCookiesAreSetOnlyWhenNeeded and with the attributes that the settings ask for.
func TestCookiesAreSetOnlyWhenNeeded(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: append(heartlocktest.Production(), "SECURE_SSL_REDIRECT=False", "SESSION_COOKIE_SECURE=False", "CSRF_COOKIE_SECURE=False")})
	s.Onboard()
	c := s.Anonymous()
	answer := c.Call("POST", login, credentials(heartlocktest.OwnerEmail, heartlocktest.Password)).Want(200)
	for _, cookie := range (&http.Response{Header: answer.Header}).Cookies() {
		if !cookie.Secure || cookie.SameSite < http.SameSiteLaxMode || cookie.Path != "/" || cookie.HttpOnly != (cookie.Name != "csrftoken") || cookie.Domain != "" {
			t.Errorf("%s: %s", cookie.Name, cookie.Raw)
		}
	}
	if len(c.Cookies["sessionid"]) < 43 || len(c.Cookies["csrftoken"]) != 32 {
		t.Error("the cookies are shorter than they should be")
	}
	var made api.PersonalToken
	c.Call("POST", "/auth/tokens/", map[string]any{"name": "x"}).Want(201).Decode(&made)
	for _, path := range []string{"/auth/me/", "/projects/", "/health/", "/nothing/", "/projects/nothing/"} {
		for _, who := range []*heartlocktest.Caller{c, s.Anonymous(), s.WithToken("x", made.Token.Reveal())} {
			if got := who.Call("GET", path, nil); got.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s as %s sets a cookie", path, who.Name)
			}
		}
	}
}

// TestFormTokensAreMasked: no two pages of a session hold the same text, and each is
// good for this session alone.
func TestFormTokensAreMasked(t *testing.T) {
	t.Parallel()
	c := cookies(t)
	former := *c
	former.CSRFKeys = c.CSRFKeys[1:]
	plain := started(t, c, "session-1")["csrftoken"].Value
	first, second := c.FormToken("session-1"), c.FormToken("session-1")
	if first == second || strings.Contains(first, plain) {
		t.Errorf("%s %s %s", plain, first, second)
	}
	for _, good := range []string{first, second, plain, former.FormToken("session-1")} {
		if err := c.CheckFormToken(good, "session-1"); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", c.FormToken("session-2"), first[:63], first + "0", first[:32], strings.Repeat("0", 64), first[32:] + first[:32] + first[:32], strings.Repeat("x", 64),
	} {
		if err := c.CheckFormToken(bad, "session-1"); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
