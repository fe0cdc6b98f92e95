//go:build unix

package web_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const resetPath = "/password-reset/"

var resetLink = regexp.MustCompile(`http://[^\s]+(/password-reset/[0-9A-Za-z]{43}/)`)

// mailedReset waits for the n-th mail with a link and returns its path.
func mailedReset(t *testing.T, s *heartlocktest.Server, n int) string {
	t.Helper()
	var paths []string
	heartlocktest.Eventually(t, "the mail is there", func() bool {
		paths = nil
		for _, found := range resetLink.FindAllStringSubmatch(s.Console.String(), -1) {
			if len(paths) == 0 || paths[len(paths)-1] != found[1] { // text and HTML
				paths = append(paths, found[1])
			}
		}
		return len(paths) >= n
	})
	return paths[n-1]
}

func TestForgottenPassword(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		ann := s.AddUser("ann@example.com")
		there := s.Login("ann@example.com")
		c := s.Anonymous()
		form := open(t, c, signInPath).follows(t, resetPath).Form(t, resetPath)
		sent := form.Submit(t, field("email", " Ann@Example.com ")).wants(t, http.StatusOK)
		unknown := form.Submit(t, field("email", "nobody@example.com"))
		noAddress := form.Submit(t, field("email", "nobody"))
		if canonical(sent) != canonical(unknown) || canonical(sent) != canonical(noAddress) || sent.Path != unknown.Path {
			t.Error("the answer tells whether there is an account")
		}
		link := mailedReset(t, s, 1)
		before := s.State()
		for range 10 { // programs that look at mail open links
			page := open(t, s.Anonymous(), link).Has(t, "ann@example.com")
			if policy := page.Header.Get("Referrer-Policy"); policy != "strict-origin" {
				t.Errorf("Referrer-Policy: %q", policy)
			}
		}
		if s.State() != before {
			t.Error("looking at the link has changed something")
		}
		choose := open(t, c, link).Form(t, link)
		refused := choose.Submit(t, field("new_password", "ann@example.com!")).wants(t, http.StatusBadRequest)
		refused.Has(t, "Must not contain your address").keeps(t, "ann@example.com!")
		const chosen = "a-new-horse-of-another-colour"
		done := choose.Submit(t, field("new_password", chosen)).wants(t, http.StatusOK).Has(t, "Your new password is saved.")
		if done.Path != signInPath {
			t.Errorf("led to %s", done.Path)
		}
		there.Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)
		done.Form(t, signInPath).Submit(t, field("email", "ann@example.com", "password", chosen)).wants(t, http.StatusOK)
		signedIn(t, c, "ann@example.com")
		for _, over := range []string{link, resetPath + strings.Repeat("a", 43) + "/", resetPath + "x/"} {
			visit(t, c, over).wants(t, http.StatusGone).Has(t, "This link can not be used")
			post(t, c, over, field("new_password", chosen)).wants(t, http.StatusGone).Has(t, "This link can not be used")
		}
		token := strings.Split(link, "/")[2]
		for _, secret := range []string{token, chosen} {
			if s.Logs.Contains(secret) {
				t.Error("the log holds the link or the password")
			}
		}
		if n := s.Count("users", "id = '"+ann+"'"); n != 1 || owner.Cookies["sessionid"] == "" {
			t.Error("something else has changed")
		}
	})
}

// follows opens a page that this one has a link to.
func (d *document) follows(t *testing.T, path string) *document {
	t.Helper()
	if len(d.All("a", "href", path)) == 0 {
		t.Fatalf("%s has no link to %s", d.Path, path)
	}
	return open(t, d.caller, path)
}

func TestForgottenPasswordTakesTheTokensToo(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	s.Onboard()
	for i, revoked := range []bool{false, true} {
		owner := s.Login(heartlocktest.OwnerEmail)
		if i == 0 {
			owner.Call("POST", "/auth/tokens/", map[string]any{"name": "script"}).Want(http.StatusCreated)
		}
		open(t, s.Anonymous(), resetPath).Form(t, resetPath).Submit(t, field("email", heartlocktest.OwnerEmail)).wants(t, http.StatusOK)
		link := mailedReset(t, s, i+1)
		values := field("new_password", heartlocktest.Password)
		if revoked {
			values.Set("revoke_tokens", "on")
		}
		open(t, s.Anonymous(), link).Form(t, link).Submit(t, values).wants(t, http.StatusOK)
		if left := s.Count("tokens", "1 = 1"); (left == 0) != revoked {
			t.Errorf("revoked %v: %d tokens are left", revoked, left)
		}
	}
}

// TestResetLinkOfAnotherHost: whoever asks for a link can not choose where it leads.
func TestResetLinkOfAnotherHost(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	s.Onboard()
	const form = "Content-Type: application/x-www-form-urlencoded"
	values := field("email", heartlocktest.OwnerEmail).Encode()
	if page := s.Anonymous().Do("POST", resetPath, values, form, "Host: evil.example.com"); page.Status != http.StatusBadRequest {
		t.Errorf("another host: %d", page.Status)
	}
	s.Anonymous().Do("POST", resetPath, values, form, "X-Forwarded-Host: evil.example.com", "Forwarded: host=evil.example.com").Want(http.StatusSeeOther)
	if link := mailedReset(t, s, 1); link == "" || s.Console.Contains("evil.example.com") {
		t.Error("the mail names another host")
	}
	anyHost := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"ALLOWED_HOSTS=*"}})
	anyHost.Onboard()
	page := send(t, anyHost.Anonymous(), resetPath, field("email", heartlocktest.OwnerEmail)).wants(t, http.StatusBadRequest)
	page.Has(t, "The server does not know its public address")
	if n := anyHost.Count("mail_queue", "1 = 1"); n != 0 {
		t.Errorf("%d mails wait", n)
	}
}

func TestForgottenPasswordWithoutMail(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: openProduction()})
	s.Onboard()
	if page := open(t, s.Anonymous(), resetPath).Has(t, "This server can not send mail."); page.Offers(resetPath) {
		t.Error("there is a form")
	}
}

func TestResetShowsTextAsText(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	s.Onboard()
	const attack = `"><script>alert(1)</script>'{{.Me}}`
	for path, name := range map[string]string{resetPath: "email", resetPath + strings.Repeat("a", 43) + "/": "new_password"} {
		if page := send(t, s.Anonymous(), path, field(name, attack)); strings.Contains(page.Body, "<script>alert") {
			t.Errorf("%s: %s", name, page.Body)
		}
	}
	send(t, s.Anonymous(), resetPath, field("email", "")).wants(t, http.StatusBadRequest).Has(t, "Is needed.")
}
