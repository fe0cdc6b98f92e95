//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/web"
)

// Nobody but administrators sees or does anything of theirs, whatever it is.
func TestAdministrationIsForAdministrators(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated)
		bobID := s.AddUser("bob@example.com")
		bob := s.Login("bob@example.com")
		var pages int
		for _, pattern := range web.Pages() {
			if !strings.HasPrefix(pattern, "/admin/") {
				continue
			}
			pages++
			path := strings.ReplaceAll(fill(pattern), "00000000-0000-7000-8000-000000000000", bobID)
			visit(t, bob, path).wants(t, http.StatusForbidden).Has(t, "You may not do this", "Only an administrator of this server").
				Lacks(t, heartlocktest.OwnerEmail)
			if nobody := open(t, s.Anonymous(), path); !strings.HasPrefix(nobody.Path, "/login/?next=%2Fadmin%2F") {
				t.Errorf("%s leads nobody to %s", path, nobody.Path)
			}
		}
		for pattern := range web.Forms() {
			if strings.HasPrefix(pattern, "/admin/") {
				path := strings.ReplaceAll(fill(pattern), "00000000-0000-7000-8000-000000000000", bobID)
				post(t, bob, path, field("role", "owner", "email", "eve@example.com", "to", "bob@example.com")).wants(t, http.StatusForbidden)
			}
		}
		if pages < 7 {
			t.Errorf("only %d pages", pages)
		}
		if n := s.Count("users", "is_superuser"); n != 1 || s.Count("memberships", "1 = 1") != 1 || s.Count("mail_queue", "1 = 1") != 0 {
			t.Errorf("something was done: %d administrators", n)
		}
		if page := open(t, bob, "/projects/"); len(page.All("a", "href", "/admin/")) != 0 {
			t.Error("the menu offers the administration")
		}
	})
}

func TestStatusPage(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		var status api.ServerStatus
		owner.Call("GET", "/admin/status/", nil).Want(http.StatusOK).Decode(&status)
		page := open(t, owner, "/admin/").Has(t, "This is a development server.", "Heartlock 1.2.3", status.Keys[0].Fingerprint, status.Servers[0].Host, "none was made", "secret.key in the data directory")
		engine := map[string]string{"sqlite": "SQLite", "postgresql": "PostgreSQL"}[status.Database.Backend]
		page.Has(t, engine).Lacks(t, "Everything is in order")
		cfg, err := s.Config()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range cfg.EncryptionKey.Keys {
			page.keeps(t, key.Encode())
		}
	})
}

func TestPeoplePages(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		form := open(t, owner, "/admin/users/new/").Has(t, "This server sends no mail").Form(t, "/admin/users/new/")
		made := form.Submit(t, field("email", "bob@example.com", "first_name", "Bob")).wants(t, http.StatusOK).Has(t, "Pass this link on")
		link := textOf(made.All("code")[0])
		if !strings.HasPrefix(link, s.URL+"/password-reset/") {
			t.Fatalf("the link is %q", link)
		}
		if again := form.Submit(t, field("email", "bob@example.com", "first_name", "Bob")); !strings.Contains(again.Body, link) {
			t.Errorf("sent twice: %d %s", again.Status, again.Text())
		}
		form.Submit(t, field("email", "nobody")).wants(t, http.StatusBadRequest)
		open(t, owner, "/admin/users/new/").Form(t, "/admin/users/new/").Submit(t, field("email", "bob@example.com")).wants(t, http.StatusConflict)
		for _, text := range injections() {
			post(t, owner, "/admin/users/new/", field("email", text, "first_name", text, "last_name", text)).wants(t, http.StatusBadRequest).IsTame(t)
			visit(t, owner, "/admin/users/?q="+url.QueryEscape(text)+"&show="+url.QueryEscape(text)+"&after="+url.QueryEscape(text)).IsTame(t)
			open(t, owner, "/admin/users/?q="+url.QueryEscape(text)).IsTame(t)
		}

		search := open(t, owner, "/admin/users/").keeps(t, link).Has(t, "bob@example.com", heartlocktest.OwnerEmail).Form(t, "/admin/users/")
		search.Get(t, field("q", "BOB")).Has(t, "bob@example.com").Lacks(t, heartlocktest.OwnerEmail)
		search.Get(t, field("show", "administrators")).Has(t, heartlocktest.OwnerEmail).Lacks(t, "bob@example.com")
		search.Get(t, field("show", "inactive")).Has(t, "Nobody is found")
		visit(t, owner, "/admin/users/00000000-0000-7000-8000-000000000000/").wants(t, http.StatusNotFound)
		visit(t, owner, "/admin/users/x/").wants(t, http.StatusNotFound)
	})
}

func TestPeopleAreListedPageByPage(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	for i := range 60 {
		s.AddUser("person-" + string(rune('a'+i/10)) + string(rune('0'+i%10)) + "@example.com")
	}
	seen, path := map[string]bool{}, "/admin/users/?q=person"
	for range 3 {
		page := open(t, owner, path)
		for _, link := range page.All("a", "class", "name") {
			seen[textOf(link)] = true
		}
		path = ""
		for _, link := range page.All("a", "class", "button") {
			if textOf(link) == "Next page" {
				path, _ = attribute(link, "href")
			}
		}
		if path == "" {
			break
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d of 60 people", len(seen))
	}
}

// bobs is an account that things are done to, and its page.
func bobs(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) (id, path string, bob *heartlocktest.Caller) {
	t.Helper()
	id = s.AddUser("bob@example.com")
	path = "/admin/users/" + id + "/"
	open(t, owner, path).Has(t, "bob@example.com", "Active", "Not a member of any project.")
	return id, path, s.Login("bob@example.com")
}

func TestOnePersonsPage(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		id, path, bob := bobs(t, s, owner)
		var project api.Project
		owner.Call("POST", "/projects/", map[string]any{"name": "Web shop"}).Want(http.StatusCreated).Decode(&project)
		s.AddMember(project.ID, id, api.RoleMember)
		act := func(what string) *document { return open(t, owner, path).Form(t, path+what).Submit(t, nil) }

		page := open(t, owner, path).Has(t, "Web shop", "member")
		page.Form(t, path).Submit(t, field("first_name", "Bob", "last_name", "Jones")).Has(t, "The name is saved.", "Bob Jones")
		for _, text := range injections() {
			page.Form(t, path).Submit(t, field("first_name", text, "last_name", text)).IsTame(t)
			open(t, owner, path).IsTame(t)
			open(t, owner, "/admin/users/").IsTame(t)
		}
		act("end-sessions/").Has(t, "All sessions of the account have ended.")
		bob.Call("GET", "/auth/me/", nil).Want(http.StatusUnauthorized)

		shown := act("reset-password/").wants(t, http.StatusOK).Has(t, "Pass this link on")
		if link := textOf(shown.All("code")[0]); !strings.HasPrefix(link, s.URL+"/password-reset/") {
			t.Errorf("the link is %q", link)
		} else {
			open(t, owner, path+"reset-password/").keeps(t, link)
		}

		act("deactivate/").Has(t, "The account is switched off.", "Switched off")
		post(t, owner, path+"reset-password/", nil).wants(t, http.StatusConflict).Has(t, "This account is switched off.")
		act("activate/").Has(t, "The account is switched on.", "Active")
		post(t, owner, path+"remove-second-factor/", nil).wants(t, http.StatusNotFound)
		s.Exec("INSERT INTO second_factors (user_id, sealed, key_fingerprint, created_at, confirmed_at, last_step) VALUES ('" + id + "', 'x', 'x', 1, 1, 0)")
		open(t, owner, path).Has(t, "Password and code")
		act("remove-second-factor/").Has(t, "The second factor is removed.").Lacks(t, "Password and code")

		act("grant/").Has(t, "administers this server from its next sign-in on", "Administrator")
		other := s.Login("bob@example.com")
		open(t, other, "/admin/")
		act("revoke/").Has(t, "does not administer this server any more")
		visit(t, other, "/admin/").wants(t, http.StatusForbidden)
	})
}

// Nobody locks himself or everybody out by accident: the vault refuses, the page says
// why.
func TestTheLastAdministratorStaysOne(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		path := "/admin/users/" + owner.UserID + "/"
		page := open(t, owner, path).Has(t, "This is you", "You change your own in your account.", "Switch your own account off?")
		for _, what := range []string{"deactivate/", "revoke/"} {
			page.Form(t, path+what).Submit(t, nil).wants(t, http.StatusConflict).Has(t, "This is the last active administrator of this server.")
		}
		for _, what := range []string{"reset-password/", "remove-second-factor/"} {
			if page.Offers(path + what) {
				t.Errorf("the own page offers %s", what)
			}
			post(t, owner, path+what, nil).wants(t, http.StatusConflict).Has(t, "This is your own account.")
		}
		owner.Call("GET", "/admin/status/", nil).Want(http.StatusOK)

		id, bobPath, _ := bobs(t, s, owner)
		open(t, owner, bobPath).Form(t, bobPath+"grant/").Submit(t, nil)
		open(t, owner, path).Form(t, path+"revoke/").Submit(t, nil).wants(t, http.StatusOK).Has(t, "You do not administer this server any more.")
		visit(t, owner, "/admin/").wants(t, http.StatusForbidden)

		bob := s.Login("bob@example.com")
		open(t, bob, "/admin/users/"+owner.UserID+"/").Form(t, path+"grant/").Submit(t, nil)
		gone := open(t, bob, bobPath).Form(t, bobPath+"deactivate/").Submit(t, nil)
		if gone.Path != "/login/" || s.Count("users", "is_active AND id = '"+id+"'") != 0 {
			t.Errorf("who switches himself off is at %s", gone.Path)
		}
		gone.Has(t, "Your account is switched off.")

		owner = s.Login(heartlocktest.OwnerEmail)
		s.Exec("UPDATE users SET password_hash = ''") // who signs in at a provider alone may give himself a password
		if page := open(t, owner, path); !page.Offers(path+"reset-password/") || page.Offers(path+"remove-second-factor/") {
			t.Errorf("an account without a password is offered %q", page.Actions())
		}
		if out := open(t, owner, path).Form(t, path+"end-sessions/").Submit(t, nil); out.Path != "/login/" {
			t.Errorf("who ends his own sessions is at %s", out.Path)
		}
	})
}

func TestAllProjectsPage(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		open(t, owner, "/admin/projects/").Has(t, "No projects yet")
		_, _, bob := bobs(t, s, owner)
		for _, text := range append(injections(), "Shop") {
			bob.Call("POST", "/projects/", map[string]any{"name": text}).Want(http.StatusCreated)
		}
		bob.Call("PUT", "/projects/shop/environments/production/secrets/API_KEY/", map[string]any{"value": "s3cr3t-value"}).Want(http.StatusCreated)
		page := open(t, owner, "/admin/projects/").Has(t, "Shop", "bob@example.com").Lacks(t, "API_KEY").IsTame(t)
		if len(page.All("a", "href", "/admin/projects/shop/join/")) != 1 {
			t.Fatal("the project can not be joined")
		}
		visit(t, owner, "/projects/shop/").wants(t, http.StatusNotFound)

		const join = "/admin/projects/shop/join/"
		form := open(t, owner, join).Has(t, "This is seen.", "told by mail").Form(t, join)
		form.Submit(t, nil).wants(t, http.StatusBadRequest)
		post(t, owner, join, field("role", `"><script>alert(1)</script>`)).wants(t, http.StatusBadRequest).IsTame(t)
		if n := s.Count("memberships", "user_id = '"+owner.UserID+"'"); n != 0 {
			t.Fatalf("%d memberships", n)
		}
		form.Submit(t, field("role", "viewer")).wants(t, http.StatusOK).Has(t, "You have joined the project.")
		form.Submit(t, field("role", "viewer")).wants(t, http.StatusConflict).Has(t, "You are a member of this project already")
		if s.Count("mail_queue", "recipient = 'bob@example.com' AND kind = 'administrator-joined'") != 1 || s.Count("audit_events", "action = 'project.join' AND outcome = 'success'") != 1 {
			t.Error("nobody is told, or nothing is kept")
		}
		open(t, owner, "/admin/projects/").Has(t, "viewer", "Raise")
		post(t, owner, "/admin/projects/none/join/", field("role", "owner")).wants(t, http.StatusNotFound)
	})
}

func TestMailPage(t *testing.T) {
	t.Parallel()
	server := heartlocktest.StartSMTP(t, heartlocktest.SMTPPlain, "", "")
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: server.Environ()})
	owner := s.Onboard()
	const test = "/admin/mail/test/"
	form := open(t, owner, "/admin/mail/").Has(t, "Sent by a mail server").Form(t, test)
	form.Submit(t, field("to", "carl@example.com")).wants(t, http.StatusOK).Has(t, "It worked.", "carl@example.com")
	if got := server.Next(t); len(got.To) != 1 || !strings.Contains(got.To[0], "carl@example.com") {
		t.Errorf("the mail went to %v", got.To)
	}
	form.Submit(t, field("to", "nobody")).wants(t, http.StatusBadRequest)
	server.Answer(func(command, _ string) error {
		if command == "RCPT" {
			return heartlocktest.Refusal(550, [3]int{5, 1, 1}, "no <script>alert(1)</script> here")
		}
		return nil
	})
	form.Submit(t, field("to", "carl@example.com")).wants(t, http.StatusOK).Has(t, "It did not work.").IsTame(t)
	for _, text := range injections() {
		post(t, owner, test, field("to", text)).wants(t, http.StatusBadRequest).IsTame(t)
	}
	s.Exec("UPDATE mail_queue SET attempts = 3, last_error = '<script>alert(1)</script>', given_up_at = created_at")
	open(t, owner, "/admin/mail/").IsTame(t)
}

func TestAuditOfTheServerPage(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		_, _, bob := bobs(t, s, owner)
		bob.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(http.StatusCreated)
		page := open(t, owner, "/admin/audit/").Has(t, "created the project shop", "signed in", "project Shop")
		page.Form(t, "/admin/audit/").Get(t, field("actor", bob.UserID, "action", "project.create")).
			Has(t, "bob@example.com created the project shop").Lacks(t, heartlocktest.OwnerEmail)
		for _, text := range injections() {
			query := url.Values{}
			for _, name := range []string{"actor", "action", "outcome", "project", "environment", "target", "from", "to", "cursor"} {
				query.Set(name, text)
				visit(t, owner, "/admin/audit/?"+name+"="+url.QueryEscape(text)).IsTame(t)
			}
			visit(t, owner, "/admin/audit/?"+query.Encode()).IsTame(t)
		}
	})
}
