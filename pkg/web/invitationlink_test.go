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

// invite makes an invitation to the project "web" and returns the path of its link.
func (w *team) invite(email string, role api.Role) string {
	var made api.Invitation
	w.owner.Call("POST", "/projects/web/invitations/", map[string]any{"email": email, "role": role}).Want(http.StatusCreated).Decode(&made)
	return strings.TrimPrefix(made.Link.Reveal(), w.URL)
}

func TestInvitationMakesAnAccount(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		link := w.invite("nina@example.com", api.RoleMember)
		before := w.State()
		for range 10 {
			page := open(t, w.Anonymous(), link).Has(t, "Olga Owner (owner@example.com) invites nina@example.com to the project Web as member", "There is no account with this address yet.")
			if policy := page.Header.Get("Referrer-Policy"); policy != "strict-origin" {
				t.Errorf("Referrer-Policy: %q", policy)
			}
		}
		if w.State() != before {
			t.Error("looking at the link has changed something")
		}
		c := w.Anonymous()
		form := open(t, c, link).Form(t, link+"accept/")
		refused := form.Submit(t, field("first_name", "Nina", "password", "short77")).wants(t, http.StatusBadRequest)
		refused.Has(t, "Must have at least 8 characters").keeps(t, "short77")
		form = refused.Form(t, link+"accept/")
		if kept := form.Values(); kept.Get("first_name") != "Nina" || kept.Get("password") != "" {
			t.Errorf("the form has kept %v", kept)
		}
		page := form.Submit(t, field("password", heartlocktest.Password)).wants(t, http.StatusOK).Has(t, "You are a member of this project now.")
		if !strings.HasPrefix(page.Path, "/projects/web/") {
			t.Errorf("led to %s", page.Path)
		}
		signedIn(t, c, "nina@example.com")
		if n := w.Count("users", "email = 'nina@example.com' AND first_name = 'Nina' AND NOT is_superuser"); n != 1 {
			t.Error("the account is another")
		}
		visit(t, c, link).wants(t, http.StatusGone).Has(t, "This invitation was accepted")
		visit(t, w.Anonymous(), link).wants(t, http.StatusGone).Has(t, "This invitation was accepted").Lacks(t, "Web", "Olga")
		post(t, c, link+"accept/", nil).wants(t, http.StatusGone)
		if token := strings.Split(link, "/")[2]; w.Logs.Contains(token) || w.Logs.Contains(heartlocktest.Password) {
			t.Error("the log holds the link or the password")
		}
	})
}

// TestInvitationOfAnAccount: who has an account signs in, and comes back without the
// link being in an address on the way.
func TestInvitationOfAnAccount(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.AddUser("nina@example.com")
		link := w.invite("nina@example.com", api.RoleViewer)
		token := strings.Split(link, "/")[2]
		c := w.Anonymous()
		page := open(t, c, link).Has(t, "There is an account with this address.")
		if page.Offers(link + "accept/") {
			t.Error("nobody can accept")
		}
		signIn := page.follows(t, "/login/?next=%2finvitations%2f")
		if strings.Contains(signIn.Body, token) {
			t.Error("the sign-in page holds the token")
		}
		back := signIn.Form(t, signInPath).Submit(t, field("email", "nina@example.com", "password", heartlocktest.Password)).wants(t, http.StatusOK)
		if back.Path != link {
			t.Fatalf("led to %s", back.Path)
		}
		joined := back.Form(t, link+"accept/").Submit(t, nil).wants(t, http.StatusOK).Has(t, "You are a member of this project now.")
		if !strings.HasPrefix(joined.Path, "/projects/web/") || c.Cookies["heartlock_invitation"] != "" {
			t.Errorf("led to %s", joined.Path)
		}
		visit(t, c, "/invitations/").wants(t, http.StatusNotFound).Has(t, "open its link again")
	})
}

func TestInvitationOfSomebodyElse(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.AddUser("nina@example.com")
	link := w.invite("nina@example.com", api.RoleAdmin)
	page := open(t, w.viewer, link).Has(t, "You are signed in as vera@example.com. This invitation is for nina@example.com.")
	if page.Offers(link + "accept/") {
		t.Error("somebody else can accept")
	}
	refused := post(t, w.viewer, link+"accept/", nil).wants(t, http.StatusForbidden)
	refused.Has(t, "This invitation is for another address")
	if w.roleOf(t, w.viewer) != "viewer" {
		t.Error("somebody else has accepted")
	}
	// Signing out comes back.
	if len(page.All("input", "name", "next", "value", "/invitations/")) != 1 {
		t.Error("signing out does not come back")
	}
	out := send(t, w.viewer, "/logout/", withToken(w.viewer, "next", "/invitations/"))
	if out.Path != link {
		t.Errorf("signing out leads to %s", out.Path)
	}
	out.Has(t, "There is an account with this address.")
}

func withToken(c *heartlocktest.Caller, pairs ...string) url.Values {
	values := field(pairs...)
	values.Set("csrfmiddlewaretoken", c.Cookies["csrftoken"])
	return values
}

// TestInvitationThatIsOver says for every reason what to do.
func TestInvitationThatIsOver(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	expired, revoked, early := w.invite("ed@example.com", api.RoleViewer), w.invite("rita@example.com", api.RoleViewer), w.invite("mia@example.org", api.RoleViewer)
	w.Exec("UPDATE invitations SET expires_at = 1 WHERE email = 'ed@example.com'")
	var list api.Page[api.Invitation]
	w.owner.Call("GET", "/projects/web/invitations/", nil).Want(http.StatusOK).Decode(&list)
	for _, i := range list.Results {
		if i.Email == "rita@example.com" {
			w.owner.Call("DELETE", "/projects/web/invitations/"+i.ID+"/", nil).Want(http.StatusNoContent)
		}
	}
	for link, says := range map[string]string{expired: "Ask Olga Owner to send it again.", revoked: "Ask for a new one."} {
		visit(t, w.Anonymous(), link).wants(t, http.StatusGone).Has(t, says)
		page := send(t, w.Anonymous(), link+"accept/", field("password", heartlocktest.Password)).wants(t, http.StatusGone)
		page.Has(t, "This invitation is not valid any more: it was used, revoked or sent again", says)
		if page.Offers(link + "accept/") {
			t.Error("it is still offered")
		}
	}
	for _, token := range []string{early[len("/invitations/") : len(early)-2], strings.Repeat("a", 43), "x", strings.Repeat("ä", 21)} {
		visit(t, w.Anonymous(), "/invitations/"+url.PathEscape(token)+"/").wants(t, http.StatusNotFound).Has(t, "There is no such invitation")
	}
	// Whom the inviter can not invite any more, nobody becomes.
	w.owner.Call("PATCH", "/projects/web/members/"+w.admin.UserID+"/", map[string]any{"role": "owner"}).Want(http.StatusOK)
	w.admin.Call("DELETE", "/projects/web/members/"+w.owner.UserID+"/", nil)
	visit(t, w.Anonymous(), early).wants(t, http.StatusGone)
	// Who is a member already keeps his role.
	var made api.Invitation
	w.AddUser("max@example.com")
	w.admin.Call("POST", "/projects/web/invitations/", map[string]any{"email": "max@example.com", "role": "viewer"}).Want(http.StatusCreated).Decode(&made)
	link := strings.TrimPrefix(made.Link.Reveal(), w.URL)
	maximilian := w.Login("max@example.com")
	form := open(t, maximilian, link).Form(t, link+"accept/")
	w.AddMember(w.project.ID, maximilian.UserID, api.RoleMember)
	form.Submit(t, nil).wants(t, http.StatusConflict).Has(t, "You are a member of this project already, as member.")
}

// TestInvitationWithMail: where mail is sent, the link that who has invited sees makes
// no account.
func TestInvitationWithMail(t *testing.T) {
	t.Parallel()
	mailer := heartlocktest.StartSMTP(t, heartlocktest.SMTPPlain, "", "")
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: mailer.Environ()})
	w := &team{Server: s, owner: s.Onboard()}
	w.owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated)
	w.AddUser("max@example.com")
	for _, email := range []string{"nina@example.com", "max@example.com"} { // it does not tell which of them has an account
		link := w.invite(email, api.RoleViewer)
		page := open(t, w.Anonymous(), link).Has(t, "use the link in the mail that was sent to "+email)
		if page.Offers(link + "accept/") {
			t.Error("the link makes an account")
		}
		send(t, w.Anonymous(), link+"accept/", field("password", heartlocktest.Password)).wants(t, http.StatusForbidden).Has(t, "use the link in the mail")
	}
	if n := s.Count("users", "email = 'nina@example.com'"); n != 0 {
		t.Error("there is an account")
	}
	mailed := ""
	for mailed == "" {
		letter := mailer.Next(t)
		if _, path, found := strings.Cut(letter.Text, s.URL+"/invitations/"); found && letter.To[0] == "nina@example.com" {
			token, _, _ := strings.Cut(path, "/")
			mailed = "/invitations/" + token + "/"
		}
	}
	c := s.Anonymous()
	open(t, c, mailed).Form(t, mailed+"accept/").Submit(t, field("password", heartlocktest.Password)).wants(t, http.StatusOK)
	signedIn(t, c, "nina@example.com")
}

func TestInvitationWithSSO(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated)
	var made api.Invitation
	w.owner.Call("POST", "/projects/web/invitations/", map[string]any{"email": "ann@example.com", "role": "viewer"}).Want(http.StatusCreated).Decode(&made)
	u, err := url.Parse(made.Link.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	link := u.Path
	page := open(t, w.Anonymous(), link).Has(t, "Use single sign-on")
	if len(page.All("a", "href", "/oidc/login/?next=%2finvitations%2f")) != 1 {
		t.Errorf("%s", page.Body)
	}
	robot := browser(t, w.Server)
	robot.Get(robot.Home(link))
	back := robot.Browse(robot.Home("/oidc/login/?next=/invitations/"), robot.Home("/oidc/callback/"))
	robot.Get(back.URL.String())
	if kept := w.Count("sign_in_attempts", "next LIKE '%"+strings.Split(link, "/")[2]+"%'"); kept != 0 {
		t.Error("the token of the link is in the database")
	}
	end := robot.Browse(robot.Home("/invitations/"), "")
	if end.Status != http.StatusOK || me(t, robot).Email != "ann@example.com" || !strings.HasPrefix(end.URL.Path, "/projects/") && end.URL.Path != link {
		t.Errorf("%d %s", end.Status, end.URL)
	}
}

func TestInvitationShowsTextAsText(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	const attack = `"><script>alert(1)</script>'{{.Me}}`
	w.owner.Call("PATCH", "/projects/web/", map[string]any{"name": attack}).Want(http.StatusOK)
	w.owner.Call("PATCH", "/auth/me/", map[string]any{"first_name": attack}).Want(http.StatusOK)
	link := w.invite("nina@example.com", api.RoleViewer)
	page := open(t, w.Anonymous(), link).Has(t, attack)
	if strings.Contains(page.Body, "<script>alert") {
		t.Error("a name is markup")
	}
	for _, name := range []string{"first_name", "last_name", "password"} {
		values := field("first_name", "Nina", "password", "short77")
		values.Set(name, attack)
		if name != "password" {
			values.Set("password", "short77")
		} else {
			values.Set("first_name", strings.Repeat("x", 200))
		}
		page := send(t, w.Anonymous(), link+"accept/", values).wants(t, http.StatusBadRequest)
		if strings.Contains(page.Body, "<script>alert") {
			t.Errorf("%s: %s", name, page.Body)
		}
	}
}
