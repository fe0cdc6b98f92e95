//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// newPassword is one that nobody has yet.
const newPassword = "quite-another-long-passphrase"

// field sends one field of a form.
func field(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}

// wants fails the test unless the page was answered with this status.
func (d *document) wants(t *testing.T, status int) *document {
	t.Helper()
	if d.Status != status {
		t.Errorf("%s: %d, want %d: %s", d.Path, d.Status, status, d.Text())
	}
	return d
}

// keeps fails the test if one of these secrets is in the page, as text or otherwise.
func (d *document) keeps(t *testing.T, secrets ...string) *document {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(d.Body, secret) {
			t.Errorf("%s holds what was typed as a secret", d.Path)
		}
	}
	return d
}

func TestProfile(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, _ *heartlocktest.Server, owner *heartlocktest.Caller) {
		page := open(t, owner, "/account/")
		page.Has(t, heartlocktest.OwnerEmail, "Administrator of this server")
		page.Form(t, "/account/").Submit(t, field("first_name", "Ann", "last_name", "Lee")).
			wants(t, http.StatusOK).Has(t, "Your profile is saved.")
		if me := open(t, owner, "/account/"); !strings.Contains(me.Body, `value="Ann"`) || !strings.Contains(me.Body, "Ann Lee") {
			t.Error("the name is not on the page")
		}
		for _, text := range injections() {
			page.Form(t, "/account/").Submit(t, field("first_name", text, "last_name", text)).IsTame(t)
			open(t, owner, "/account/").IsTame(t).Lacks(t, "alert") // only in the fields, which are attributes
		}
		page.Form(t, "/account/").Submit(t, field("first_name", strings.Repeat("x", 101))).
			wants(t, http.StatusBadRequest).Has(t, "Must have at most 100 characters.")
	})
}

func TestPasswordPage(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		other := s.Login(heartlocktest.OwnerEmail)
		var token api.PersonalToken
		owner.Call("POST", "/auth/tokens/", map[string]any{"name": "ci"}).Want(http.StatusCreated).Decode(&token)
		form := open(t, owner, "/account/password/").Has(t, "Revoke my 1 personal token too").Form(t, "/account/password/")

		const wrong = "a-wrong-old-passphrase"
		form.Submit(t, field("current_password", wrong, "new_password", newPassword, "new_password_again", newPassword)).
			wants(t, http.StatusBadRequest).Has(t, "Is not your password.").keeps(t, wrong, newPassword)
		form.Submit(t, field("current_password", heartlocktest.Password, "new_password", newPassword, "new_password_again", "x")).
			wants(t, http.StatusBadRequest).Has(t, "Is not the same as the new password.").keeps(t, heartlocktest.Password, newPassword)
		form.Submit(t, field("current_password", heartlocktest.Password, "new_password", "short", "new_password_again", "short")).
			wants(t, http.StatusBadRequest).Has(t, "Must have at least 8 characters")
		other.Call("GET", "/auth/me/", nil).Want(http.StatusOK)

		done := form.Submit(t, field("current_password", heartlocktest.Password, "new_password", newPassword, "new_password_again", newPassword, "revoke_tokens", "on"))
		done.wants(t, http.StatusOK).Has(t, "Your password is changed.").Lacks(t, "personal token")
		owner.Call("GET", "/auth/me/", nil).Want(http.StatusOK)
		other.Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
		s.WithToken("ci", token.Token.Reveal()).Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
		owner.Call("POST", "/auth/login/", map[string]any{"email": heartlocktest.OwnerEmail, "password": newPassword}).Want(http.StatusOK)
	})
}

func TestPasswordPageOfAnAccountWithoutOne(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	s.Exec("UPDATE users SET password_hash = ''")
	page := open(t, owner, "/account/password/")
	page.Has(t, "Your account has no password.", "ask an administrator")
	if page.Offers("/account/password/") {
		t.Error("there is a form")
	}
	open(t, owner, "/account/second-factor/").Has(t, "Your account has no password.")
}

// code is what the app shows some steps from now; each serves once.
func code(t *testing.T, secret string, steps int) string {
	t.Helper()
	text, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// shownSecret is the secret that a set-up page shows.
func (d *document) shownSecret(t *testing.T) string {
	t.Helper()
	for _, p := range d.All("p", "id", "factor-secret") {
		return strings.ReplaceAll(textOf(p), " ", "")
	}
	t.Fatalf("%s shows no secret: %s", d.Path, d.Text())
	return ""
}

// shownCodes are the recovery codes of a page.
func (d *document) shownCodes(t *testing.T) []string {
	t.Helper()
	for _, pre := range d.All("pre", "id", "recovery-codes") {
		return strings.Fields(textOf(pre))
	}
	t.Fatalf("%s shows no codes: %s", d.Path, d.Text())
	return nil
}

const factor = "/account/second-factor/"

func TestSecondFactorPages(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		other := s.Login(heartlocktest.OwnerEmail)
		begin := open(t, owner, factor)
		begin.Form(t, factor).Submit(t, field("password", "a-wrong-passphrase")).
			wants(t, http.StatusBadRequest).Has(t, "Is not your password.").keeps(t, "a-wrong-passphrase")
		setup := begin.Form(t, factor).Submit(t, field("password", heartlocktest.Password)).wants(t, http.StatusOK)
		secret := setup.shownSecret(t)
		if len(setup.All("svg", "role", "img", "aria-label", "*")) != 1 {
			t.Error("there is no QR code with a name")
		}
		again := setup.Form(t, factor+"confirm/").Submit(t, field("code", "000000")).wants(t, http.StatusBadRequest)
		again.Has(t, "Is not a code that serves now", "Begin anew").keeps(t, secret, "000000")
		shown := again.Form(t, factor+"confirm/").Submit(t, field("code", code(t, secret, 0))).wants(t, http.StatusOK)
		codes := shown.Has(t, "The second factor is on.").shownCodes(t)
		if len(codes) < 8 {
			t.Errorf("%d recovery codes", len(codes))
		}
		other.Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
		for _, path := range []string{factor, factor + "confirm/", factor + "recovery-codes/"} {
			open(t, owner, path).Has(t, "Authenticator app On").keeps(t, append(codes, secret)...)
		}

		on := open(t, owner, factor)
		on.Form(t, factor+"recovery-codes/").Submit(t, field("password", heartlocktest.Password, "code", "123456")).
			wants(t, http.StatusBadRequest).Has(t, "Is not a code").keeps(t, heartlocktest.Password, "123456")
		renewed := on.Form(t, factor+"recovery-codes/").Submit(t, field("password", heartlocktest.Password, "code", codes[0])).
			wants(t, http.StatusOK).shownCodes(t)
		on.Form(t, factor+"disable/").Submit(t, field("password", heartlocktest.Password, "code", codes[1])).wants(t, http.StatusBadRequest)
		on.Form(t, factor+"disable/").Submit(t, field("password", heartlocktest.Password, "code", renewed[0])).
			wants(t, http.StatusOK).Has(t, "The second factor is off.", "Authenticator app Off")
		if s.Logs.Contains(secret) || s.Logs.Contains(codes[0]) {
			t.Error("a secret is in the log")
		}
		for _, text := range injections() {
			begin.Form(t, factor).Submit(t, field("password", text)).IsTame(t).keeps(t, "alert(1)")
			post(t, owner, factor+"confirm/", field("code", text)).IsTame(t).keeps(t, "alert(1)")
		}
	})
}

// Who must have a second factor sees one page only, which says so, and gets on from
// there.
func TestSecondFactorThatIsDue(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"HEARTLOCK_REQUIRE_SECOND_FACTOR=everyone"}})
	owner := s.Onboard()
	for _, path := range []string{"/projects/", "/account/", "/account/password/", "/account/sessions/", "/account/tokens/", "/admin/"} {
		page := open(t, owner, path)
		if page.Path != factor {
			t.Errorf("%s leads to %s", path, page.Path)
		}
	}
	page := open(t, owner, factor).Has(t, "Set up a second factor to go on.", "everything else is closed", "Sign out")
	if len(page.All("nav", "aria-label", "Your account")) != 0 {
		t.Error("the navigation leads to what is closed")
	}
	setup := page.Form(t, factor).Submit(t, field("password", heartlocktest.Password)).wants(t, http.StatusOK)
	setup.Form(t, factor+"confirm/").Submit(t, field("code", code(t, setup.shownSecret(t), 0))).Has(t, "The second factor is on.")
	open(t, owner, "/projects/").Has(t, "No projects yet")

	s.AddUser("bob@example.com")
	bob := s.Login("bob@example.com")
	out := open(t, bob, factor).Form(t, "/logout/").Submit(t, nil)
	if out.Path != "/login/" {
		t.Errorf("signing out leads to %s", out.Path)
	}
	bob.Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
}

func TestSessionsPage(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		open(t, owner, "/account/sessions/").Has(t, "This browser").Lacks(t, "Sign out everywhere else")
		phone := s.Anonymous()
		for _, agent := range []string{"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", `<script>alert(1)</script>`} {
			phone = s.Anonymous()
			phone.Call("POST", "/auth/login/", map[string]any{"email": heartlocktest.OwnerEmail, "password": heartlocktest.Password}, "User-Agent: "+agent).Want(http.StatusOK)
		}
		page := open(t, owner, "/account/sessions/").Has(t, "Firefox on Linux", "An unknown program").IsTame(t)
		var list api.Page[api.Session]
		phone.Call("GET", "/auth/sessions/", nil).Want(http.StatusOK).Decode(&list)
		for _, session := range list.Results {
			if session.Current {
				page.Form(t, "/account/sessions/"+session.ID+"/end/").Submit(t, nil).Has(t, "The session has ended.").Lacks(t, "An unknown program")
			}
		}
		phone.Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)

		s.AddUser("bob@example.com")
		bob := s.Login("bob@example.com")
		bob.Call("GET", "/auth/sessions/", nil).Want(http.StatusOK).Decode(&list)
		post(t, owner, "/account/sessions/"+list.Results[0].ID+"/end/", nil)
		bob.Call("GET", "/auth/me/", nil).Want(http.StatusOK) // nobody ends another's

		owner.Call("GET", "/auth/sessions/", nil).Want(http.StatusOK).Decode(&list)
		for _, session := range list.Results {
			if session.Current {
				post(t, owner, "/account/sessions/"+session.ID+"/end/", nil).wants(t, http.StatusConflict).Has(t, "Sign out to end it.")
			}
		}
		third := s.Login(heartlocktest.OwnerEmail)
		open(t, owner, "/account/sessions/").Form(t, "/account/sessions/end-others/").Submit(t, nil).
			Has(t, "Every other session has ended.", "This browser").Lacks(t, "Firefox on Linux")
		third.Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
	})
}

func TestOwnTokensPage(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		form := open(t, owner, "/account/tokens/").Has(t, "No tokens yet").Form(t, "/account/tokens/")
		made := form.Submit(t, field("name", "laptop", "expires", "30")).wants(t, http.StatusOK).Has(t, "Copy it now.")
		token := textOf(made.All("code", "id", "token-text")[0])
		s.WithToken("laptop", token).Call("GET", "/auth/me/", nil).Want(http.StatusOK)
		if twice := form.Submit(t, field("name", "laptop", "expires", "30")); !strings.Contains(twice.Body, token) || s.Count("tokens", "1 = 1") != 1 {
			t.Error("the form that was sent twice has made two tokens")
		}
		page := open(t, owner, "/account/tokens/").Has(t, "laptop", token[:12]).keeps(t, token)

		form.Submit(t, field("name", "", "expires", "0")).wants(t, http.StatusBadRequest).Has(t, "Must not be empty.")
		post(t, owner, "/account/tokens/", field("name", "x", "expires", "12345")).wants(t, http.StatusBadRequest).Has(t, "Must be one of the choices.")
		for _, text := range injections() {
			post(t, owner, "/account/tokens/", field("name", text, "expires", "7")).IsTame(t)
			post(t, owner, "/account/tokens/", field("name", "x", "expires", text)).IsTame(t)
		}
		open(t, owner, "/account/tokens/").IsTame(t)

		s.Exec("UPDATE tokens SET exposed_at = created_at WHERE name = 'laptop'")
		open(t, owner, "/account/tokens/").Has(t, "It was sent without encryption")
		var list api.Page[api.PersonalToken]
		owner.Call("GET", "/auth/tokens/", nil).Want(http.StatusOK).Decode(&list)
		for _, one := range list.Results {
			if one.Name != "laptop" {
				continue
			}
			s.AddUser("bob@example.com")
			post(t, s.Login("bob@example.com"), "/account/tokens/"+one.ID+"/revoke/", nil)
			s.WithToken("laptop", token).Call("GET", "/auth/me/", nil).Want(http.StatusOK) // it is not his
			page.Form(t, "/account/tokens/"+one.ID+"/revoke/").Submit(t, nil).Has(t, "The token is revoked.").Lacks(t, "laptop"+" "+token[:12])
		}
		s.WithToken("laptop", token).Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
		if s.Logs.Contains(token) {
			t.Error("the token is in the log")
		}
	})
}

func TestIdentitiesPage(t *testing.T) {
	t.Parallel()
	plain := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	nobody := plain.Onboard()
	visit(t, nobody, "/account/identities/").wants(t, http.StatusNotFound)
	if page := open(t, nobody, "/account/"); len(page.All("a", "href", "/account/identities/")) != 0 {
		t.Error("there is a link to single sign-on, which is off")
	}

	w := newWorld(t, "")
	robot := as(t, w.Server, heartlocktest.OwnerEmail)
	owner := robot.Caller()
	form := open(t, owner, "/account/identities/").Has(t, "Nothing is linked").Form(t, "/account/identities/")
	form.Submit(t, field("current_password", "a-wrong-passphrase")).
		wants(t, http.StatusBadRequest).Has(t, "Is not your password.").keeps(t, "a-wrong-passphrase")
	leaving := form.Submit(t, field("current_password", heartlocktest.Password)).wants(t, http.StatusOK).keeps(t, heartlocktest.Password)
	target, _ := attribute(leaving.All("a", "rel", "noreferrer")[0], "href")
	if !strings.HasPrefix(target, w.fake.URL) || leaving.Header.Get("Refresh") != "0;url="+target {
		t.Errorf("on to %q, %q", target, leaving.Header.Get("Refresh"))
	}
	for name, value := range owner.Cookies {
		robot.SetCookie(name, value, "/")
	}
	page := robot.Browse(target, robot.Home("/account/"))
	if page.URL.Path != "/account/identities/" {
		t.Fatalf("back at %s: %v", page.URL, robot.Steps)
	}
	linked := open(t, robot.Caller(), "/account/identities/").Has(t, "The account at the identity provider is linked.", "ann@example.com", w.fake.URL)
	if linked.Offers("/account/identities/") {
		t.Error("a second one can be linked")
	}
	var list api.Page[api.Identity]
	owner.Call("GET", "/auth/identities/", nil).Want(http.StatusOK).Decode(&list)
	unlinkPath := "/account/identities/" + list.Results[0].ID + "/unlink/"
	linked.Form(t, unlinkPath).Submit(t, nil).Has(t, "opens your account no longer", "Nothing is linked")

	carl, back := w.signIn(t, claims("carl-1", "carl@example.com", true))
	if back.Status != http.StatusSeeOther {
		t.Fatalf("carl: %d", back.Status)
	}
	only := open(t, carl.Caller(), "/account/identities/").Has(t, "Your only way in").IsTame(t)
	carl.Caller().Call("GET", "/auth/identities/", nil).Want(http.StatusOK).Decode(&list)
	if path := "/account/identities/" + list.Results[0].ID + "/unlink/"; only.Offers(path) {
		t.Error("the only way in can be removed")
	} else {
		post(t, carl.Caller(), path, nil).wants(t, http.StatusConflict).Has(t, "the only way into it")
	}
}
