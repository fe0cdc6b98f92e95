//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// browser is a robot that signs in as ann where it is asked.
func browser(t *testing.T, s *heartlocktest.Server) *heartlocktest.Robot {
	t.Helper()
	return heartlocktest.NewRobot(t, s, map[string]string{"username": "ann", "password": heartlocktest.Password})
}

func ann() heartlocktest.OpenIDUser {
	return heartlocktest.OpenIDUser{
		Subject: "ann-1", Username: "ann", Email: "Ann@Example.com", EmailVerified: true, FirstName: "Ann", LastName: "Lee",
	}
}

// me is who a robot is signed in as.
func me(t *testing.T, r *heartlocktest.Robot) api.Me {
	t.Helper()
	var who api.Me
	r.Caller().Call("GET", "/auth/me/", nil).Want(http.StatusOK).Decode(&who)
	return who
}

// TestSignInAtAProvider goes the whole way with a provider of another house: there
// at one server, back at another one, and out again.
func TestSignInAtAProvider(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		for name, c := range map[string]struct{ public, issuer bool }{
			"confidential": {false, false}, "public": {true, false}, "with ID tokens": {false, true},
		} {
			t.Run(name, func(t *testing.T) { //nolint:paralleltest // they share the database
				provider := heartlocktest.StartOpenIDProvider(t, c.public, ann())
				a := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: freshDatabase(t, databaseURL), Environ: provider.Environ(c.issuer)})
				a.Onboard()
				b := a
				if databaseURL != "" {
					b = heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: a.DatabaseURL, Dir: a.Dir, Environ: provider.Environ(c.issuer)})
				}
				signInAndOut(t, a, b)
				for _, s := range []*heartlocktest.Server{a, b} {
					if s.Logs.Contains(heartlocktest.OpenIDSecret) {
						t.Error("the client secret is in the log")
					}
				}
			})
		}
	})
}

// freshDatabase is a database of the same engine that nobody has used.
func freshDatabase(t *testing.T, like string) string {
	t.Helper()
	if like == "" {
		return ""
	}
	return heartlocktest.Postgres(t)
}

func signInAndOut(t *testing.T, a, b *heartlocktest.Server) {
	t.Helper()
	robot := browser(t, a)
	back := robot.Browse(robot.Home("/oidc/login/?next=/projects/web/"), robot.Home("/oidc/callback/"))
	if !strings.Contains(strings.Join(robot.Steps, "\n"), "POST /login/username") {
		t.Fatalf("the robot was not asked to sign in: %v", robot.Steps)
	}
	robot.Move(b)
	page := robot.Get(back.URL.String())
	if page.Status != http.StatusSeeOther || page.Header.Get("Location") != "/projects/web/" {
		t.Fatalf("back: %d %s %s", page.Status, page.Header.Get("Location"), page.Body)
	}
	who := me(t, robot)
	if who.Email != "ann@example.com" || who.FirstName != "Ann" || who.HasPassword || who.IsSuperuser || !who.SSOEnabled {
		t.Errorf("signed in as %+v", who.Account)
	}
	if again := robot.Get(back.URL.String()); again.Status != http.StatusBadRequest {
		t.Errorf("the same way back once more: %d", again.Status)
	}
	second := browser(t, a)
	if page := second.Browse(second.Home("/oidc/login/"), ""); page.Status != http.StatusOK || me(t, second).ID != who.ID {
		t.Errorf("a second browser is somebody else: %d", page.Status)
	}
	var out api.Redirect
	robot.Caller().Call("POST", "/auth/logout/", nil).Want(http.StatusOK).Decode(&out)
	robot.Caller().Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
	end := robot.Browse(out.Redirect, robot.Home(""))
	if end.URL == nil || !strings.HasPrefix(end.URL.String(), robot.Home("")) {
		t.Errorf("the logout ends at %v: %v", end.URL, robot.Steps)
	}
}

// world is an onboarded server on SQLite with a fake provider.
type world struct {
	*heartlocktest.Server
	fake  *heartlocktest.OpenIDFake
	owner *heartlocktest.Caller
}

func newWorld(t *testing.T, databaseURL string, environ ...string) *world {
	t.Helper()
	fake := heartlocktest.StartOpenIDFake(t, func(int) map[string]any { return claims("ann-1", "ann@example.com", true) })
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL, Environ: append(fake.Environ(false), environ...)})
	return &world{Server: s, fake: fake, owner: s.Onboard()}
}

func claims(subject, email string, verified any) map[string]any {
	return map[string]any{"sub": subject, "email": email, "email_verified": verified}
}

// signIn goes the whole way with these claims in a fresh browser.
func (w *world) signIn(t *testing.T, claims map[string]any) (*heartlocktest.Robot, heartlocktest.Page) {
	t.Helper()
	w.fake.Userinfo = func(int) map[string]any { return claims }
	robot := browser(t, w.Server)
	back := robot.Browse(robot.Home("/oidc/login/"), robot.Home("/oidc/callback/"))
	return robot, robot.Get(back.URL.String())
}

// refused checks that someone was not let in and that nothing is left behind.
func (w *world) refused(t *testing.T, robot *heartlocktest.Robot, page heartlocktest.Page) {
	t.Helper()
	if page.Status != http.StatusForbidden {
		t.Errorf("status %d: %s", page.Status, page.Body)
	}
	robot.Caller().Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
}

func TestWhoAnIdentityIs(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newWorld(t, databaseURL)
		for name, verified := range map[string]any{"false": false, "text": "false", "absent": nil, "list": []any{}, "one": 1} {
			email := name + "@example.com"
			w.AddUser(email)
			robot, page := w.signIn(t, claims("sub-"+name, email, verified))
			w.refused(t, robot, page)
			robot, page = w.signIn(t, claims("sub-new-"+name, "new-"+email, verified))
			w.refused(t, robot, page)
		}
		robot, page := w.signIn(t, claims("sub-owner", heartlocktest.OwnerEmail, true))
		w.refused(t, robot, page)
		if n := w.Count("identities", "1 = 1") + w.Count("users", "email LIKE 'new-%'"); n != 0 {
			t.Errorf("%d rows are left of who was refused", n)
		}

		bob := w.AddUser("bob@example.com")
		robot, page = w.signIn(t, claims("sub-bob", "Bob@Example.com", "true"))
		if page.Status != http.StatusSeeOther || me(t, robot).ID != bob {
			t.Fatalf("a verified address does not link: %d %s", page.Status, page.Body)
		}
		robot, page = w.signIn(t, claims("sub-other", "bob@example.com", true))
		w.refused(t, robot, page)

		// From now on the subject alone counts.
		robot, page = w.signIn(t, claims("sub-bob", heartlocktest.OwnerEmail, true))
		if page.Status != http.StatusSeeOther || me(t, robot).ID != bob || me(t, robot).Email != "bob@example.com" {
			t.Errorf("with another address bob is %d %s", page.Status, page.Body)
		}
		robot, page = w.signIn(t, map[string]any{"sub": "sub-bob"})
		if page.Status != http.StatusSeeOther || me(t, robot).ID != bob {
			t.Errorf("without an address bob is %d %s", page.Status, page.Body)
		}

		w.Exec("INSERT INTO second_factors (user_id, sealed, key_fingerprint, created_at, confirmed_at, last_step) VALUES ('" +
			w.AddUser("dora@example.com") + "', 'x', 'x', 1, 1, 0)")
		robot, page = w.signIn(t, claims("sub-dora", "dora@example.com", true))
		w.refused(t, robot, page)

		w.SetActive(bob, false)
		robot, page = w.signIn(t, claims("sub-bob", "bob@example.com", true))
		w.refused(t, robot, page)
		w.SetActive(w.AddUser("carl@example.com"), false)
		robot, page = w.signIn(t, claims("sub-carl", "carl@example.com", true))
		w.refused(t, robot, page)
		if n := w.Count("users", "is_active"); n != 7 || w.Count("identities", "1 = 1") != 1 || w.Count("users", "is_superuser") != 1 {
			t.Errorf("%d accounts are active", n)
		}
	})
}

func TestUnknownPeopleOnlyIfTheOperatorWantsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "OIDC_CREATE_UNKNOWN_USER=False")
	robot, page := w.signIn(t, claims("ann-1", "ann@example.com", true))
	w.refused(t, robot, page)
	if n := w.Count("users", "1 = 1"); n != 1 {
		t.Errorf("there are %d accounts", n)
	}
	id := w.AddUser("ann@example.com")
	if robot, page = w.signIn(t, claims("ann-1", "ann@example.com", true)); page.Status != http.StatusSeeOther || me(t, robot).ID != id {
		t.Errorf("who has an account: %d %s", page.Status, page.Body)
	}
}

func TestTheWayBackIsForOneBrowserOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	begin := func() (*heartlocktest.Robot, *url.URL) {
		robot := browser(t, w.Server)
		return robot, robot.Browse(robot.Home("/oidc/login/"), robot.Home("/oidc/callback/")).URL
	}
	fails := func(name string, robot *heartlocktest.Robot, address string) {
		t.Helper()
		before := w.fake.Hits("/oauth/token")
		if page := robot.Get(address); page.Status != http.StatusBadRequest || w.fake.Hits("/oauth/token") != before {
			t.Errorf("%s: %d", name, page.Status)
		}
		robot.Caller().Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
	}
	_, back := begin()
	fails("without a cookie", browser(t, w.Server), back.String())
	other, _ := begin()
	_, back = begin()
	fails("with another browser's cookie", other, back.String())

	robot, back := begin()
	for name, state := range map[string]string{"empty": "", "short": "abc", "other": strings.Repeat("A", 43), "strange": strings.Repeat("\x00", 43)} {
		query := back.Query()
		query.Set("state", state)
		fails(name+" state", robot, robot.Home("/oidc/callback/?"+query.Encode()))
	}
	query := back.Query()
	query.Del("state")
	fails("no state", robot, robot.Home("/oidc/callback/?"+query.Encode()))

	w.Exec("UPDATE sign_in_attempts SET created_at = created_at - 600000000")
	fails("after ten minutes", robot, back.String())

	robot, back = begin()
	second := robot.Browse(robot.Home("/oidc/login/"), robot.Home("/oidc/callback/")).URL // in another tab
	for _, address := range []*url.URL{back, second} {
		if page := robot.Get(address.String()); page.Status != http.StatusSeeOther {
			t.Errorf("two tabs: %d", page.Status)
		}
	}
	before := w.fake.Hits("/oauth/token")
	if page := robot.Get(back.String()); page.Status != http.StatusBadRequest || w.fake.Hits("/oauth/token") != before {
		t.Errorf("the same browser once more: %d", page.Status) // the fake would take its code again
	}
	former := robot.Caller()
	anew := browser(t, w.Server)
	fails("a replay", anew, back.String())
	former.Call("GET", "/auth/me/", nil).Want(http.StatusOK)
	if n := w.Count("sessions", "by_provider"); n != 1 {
		t.Errorf("%d sessions: the former one has not ended", n)
	}
}

// Nobody fills the table of attempts, and who has begun one comes back all the same.
func TestANetworkBeginsSoManySignInsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	robot := browser(t, w.Server)
	back := robot.Browse(robot.Home("/oidc/login/"), robot.Home("/oidc/callback/")).URL
	w.Exec("UPDATE throttles SET failures = 1000 WHERE subject LIKE 'sso-network:%'")
	before := w.Count("sign_in_attempts", "1 = 1")
	page := browser(t, w.Server).Get(robot.Home("/oidc/login/"))
	if page.Status != http.StatusTooManyRequests || page.Header.Get("Retry-After") == "" || w.Count("sign_in_attempts", "1 = 1") != before {
		t.Errorf("one more: %d, %d attempts, %d before", page.Status, w.Count("sign_in_attempts", "1 = 1"), before)
	}
	if page := robot.Get(back.String()); page.Status != http.StatusSeeOther {
		t.Errorf("who began before: %d %s", page.Status, page.Body)
	}
	w.Exec("UPDATE throttles SET since = since - 600000000")
	if page := browser(t, w.Server).Get(robot.Home("/oidc/login/")); page.Status != http.StatusSeeOther {
		t.Errorf("ten minutes later: %d", page.Status)
	}
}

func TestSecretsOfAnAttemptAreNotStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	robot := browser(t, w.Server)
	page := robot.Get(robot.Home("/oidc/login/"))
	target, err := url.Parse(page.Header.Get("Location"))
	if err != nil || page.Status != http.StatusSeeOther {
		t.Fatalf("%d %v", page.Status, err)
	}
	cookie := page.Header.Get("Set-Cookie")
	for _, attribute := range []string{"Path=/oidc/", "HttpOnly", "SameSite=Lax", "Max-Age=600"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("the cookie has no %s: %s", attribute, cookie)
		}
	}
	value, _, _ := strings.Cut(strings.TrimPrefix(cookie, "heartlock_sso="), ";")
	dump := w.Dump()
	for name, secret := range map[string]string{"state": target.Query().Get("state"), "nonce": target.Query().Get("nonce"), "cookie": value} {
		if len(secret) != 43 || strings.Contains(dump, secret) || w.Logs.Contains(secret) {
			t.Errorf("the %s is stored or logged, or has not 43 characters", name)
		}
	}
	if target.Query().Get("code_challenge_method") != "S256" {
		t.Error("PKCE is not used")
	}
}

func TestNextIsAPathOfThisServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, next := range []string{
		"", "//evil.example", "///evil.example", "////evil.example", `/\evil.example`, `\\evil.example`, `\/evil.example`, `/\/evil.example`,
		"https://evil.example", "https:evil.example", "https:/evil.example", "http:///evil.example", "HTTPS://evil.example", "javascript:alert(1)",
		"data:text/html,x", "evil.example", ".evil.example", "@evil.example", "?x=//evil.example", "#x", " /x", "/ /evil.example", "\t//evil.example",
		"/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", "/\x00/evil.example", "/%2f/evil.example", "/%2F%2Fevil.example", "/%5cevil.example", "/x//evil.example",
		"/\u2028/evil.example", "/é", "//", "/\x7f", "//evil.example/%2e%2e", "http://heartlock.example.com/", "//heartlock.example.com/",
		"/%zz", "/" + strings.Repeat("a", 3000), "///", "ftp://x", "/;@evil.example//",
	} {
		check(t, w, next, "/")
	}
	for _, next := range []string{"/", "/projects/web/", "/projects/web/?env=production&x=1", "/a/#b", "/a%20b/"} {
		check(t, w, next, next)
	}
}

func check(t *testing.T, w *world, next, want string) {
	t.Helper()
	robot := browser(t, w.Server)
	back := robot.Browse(robot.Home("/oidc/login/?next="+url.QueryEscape(next)), robot.Home("/oidc/callback/"))
	if page := robot.Get(back.URL.String()); page.Status != http.StatusSeeOther || page.Header.Get("Location") != want {
		t.Errorf("next=%q leads to %d %q", next, page.Status, page.Header.Get("Location"))
	}
}

func TestErrorsOfTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for code, status := range map[string]int{
		"access_denied": 403, "temporarily_unavailable": 503, "login_required": 403, "<script>alert(1)</script>": 403, "": 403,
	} {
		robot := browser(t, w.Server)
		back := robot.Browse(robot.Home("/oidc/login/"), robot.Home("/oidc/callback/")).URL
		query := url.Values{"state": {back.Query().Get("state")}, "error": {code}, "error_description": {"<script>alert(2)</script>"}}
		page := robot.Get(robot.Home("/oidc/callback/?" + query.Encode()))
		if page.Status != status || strings.Contains(page.Body, "<script>") || strings.Contains(page.Body, "alert(") {
			t.Errorf("%q: %d %s", code, page.Status, page.Body)
		}
		if !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") || !strings.HasPrefix(page.Header.Get("Content-Security-Policy"), "default-src 'none'") ||
			page.Header.Get("Cache-Control") != "no-store" || page.Header.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(page.Body, `href="/"`) {
			t.Errorf("%q: %v", code, page.Header)
		}
		if again := robot.Get(back.String()); again.Status != http.StatusBadRequest {
			t.Errorf("%q: the attempt is not over", code)
		}
	}
	if w.Logs.Contains("alert(2)") {
		t.Error("the provider's text is in the log")
	}
}

func TestHangingProviderHoldsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.fake.Handlers["/oauth/token"] = func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		<-r.Context().Done()
	}
	robot := browser(t, w.Server)
	back := robot.Browse(robot.Home("/oidc/login/"), robot.Home("/oidc/callback/")).URL
	start := time.Now()
	page := robot.Get(back.String())
	if took := time.Since(start); page.Status != http.StatusServiceUnavailable || took > 12*time.Second {
		t.Errorf("%d after %v", page.Status, took)
	}
	if !strings.Contains(page.Body, "identity provider can not be used") {
		t.Errorf("the page says %s", page.Body)
	}
}

func TestPagesAreOnlyRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, method := range []string{"POST", "HEAD", "PUT", "OPTIONS"} {
		w.Anonymous().Do(method, "/oidc/login/", nil).Want(http.StatusMethodNotAllowed)
	}
	w.Anonymous().Do("GET", "/oidc/other/", nil).Want(http.StatusNotFound)
	off := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	off.Onboard()
	off.Anonymous().Do("GET", "/oidc/login/", nil).Want(http.StatusNotFound)
	off.Anonymous().Do("GET", "/oidc/callback/", nil).Want(http.StatusNotFound)
}
