package rest_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// TestAccountsByPages walks the list of accounts by pages and narrows it.
func TestAccountsByPages(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		for _, email := range []string{"a_b@example.com", "a%b@example.com", "axb@example.com", "zoe@example.com"} {
			s.AddUser(email)
		}
		s.Exec("UPDATE users SET first_name = 'Zoë', last_name = 'O''Neil' WHERE email = 'zoe@example.com'")
		s.Exec("UPDATE users SET is_active = false WHERE email = 'axb@example.com'")
		list := func(query string) (emails []string) {
			t.Helper()
			for cursor := ""; ; {
				var page api.Page[api.User]
				owner.Call("GET", "/admin/users/?limit=2&cursor="+url.QueryEscape(cursor)+query, nil).Want(200).Decode(&page)
				for _, u := range page.Results {
					emails = append(emails, u.Email)
				}
				if page.Next == nil {
					return emails
				}
				cursor = *page.Next
			}
		}
		for query, want := range map[string][]string{
			"":                                  {"a%b@example.com", "a_b@example.com", "axb@example.com", "owner@example.com", "zoe@example.com"},
			"&q=a_b":                            {"a_b@example.com"},
			"&q=A%25B":                          {"a%b@example.com"},
			"&q=!":                              nil,
			"&q=" + url.QueryEscape("zoë o'n"):  {"zoe@example.com"},
			"&q=" + url.QueryEscape("OLGA own"): {"owner@example.com"},
			"&active=false":                     {"axb@example.com"},
			"&superuser=true":                   {"owner@example.com"},
			"&superuser=false&active=true&q=b":  {"a%b@example.com", "a_b@example.com"},
		} {
			if diff := cmp.Diff(want, list(query)); diff != "" {
				t.Errorf("%q (-want +got):\n%s", query, diff)
			}
		}
		for _, wrong := range []string{
			"active=yes", "active=", "superuser=1", "q=" + strings.Repeat("x", 101), "q=%00", "q=a&q=b", "cursor=x", "cursor=A@example.com",
			"limit=0", "limit=1001", "email=zoe@example.com", "Q=a", "q=%ff",
		} {
			owner.Call("GET", "/admin/users/?"+wrong, nil).WantProblem(400)
		}
		var one api.UserDetail
		answer := owner.Call("GET", "/admin/users/"+owner.UserID+"/", nil).Want(200).Decode(&one)
		if !one.IsSuperuser || !one.HasPassword || one.LastLoginAt == nil || one.SSO || one.SecondFactor || strings.Contains(answer.Body, "argon2") {
			t.Errorf("the owner: %s", answer.Body)
		}
		owner.Call("GET", "/admin/users/"+randomID()+"/", nil).WantProblem(404)
		owner.Call("GET", "/admin/users/owner@example.com/", nil).WantProblem(404)
	})
}

// TestANewAccountChoosesItsPassword makes an account without a password: the link
// in the answer opens it once, and is nowhere else but in the mail.
func TestANewAccountChoosesItsPassword(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		body := map[string]any{"email": "Nora@Example.com", "first_name": "Nora"}
		var made, again api.CreatedUser
		owner.Call("POST", "/admin/users/", body, "Idempotency-Key: once").Want(201).Decode(&made)
		owner.Call("POST", "/admin/users/", body, "Idempotency-Key: once").Want(201).Decode(&again)
		if made.Email != "nora@example.com" || made.HasPassword || !made.IsActive || made.IsSuperuser || made.PasswordLink == nil {
			t.Fatalf("the new account: %+v", made)
		}
		if !again.PasswordLink.Link.Equal(*made.PasswordLink.Link) || s.Count("users", "true") != 2 {
			t.Error("the repeated request did not give the same answer")
		}
		owner.Call("POST", "/admin/users/", body).WantProblem(409)
		link := made.PasswordLink.Link.Reveal()
		path, ok := strings.CutPrefix(link, s.URL+"/password-reset/")
		token := strings.TrimSuffix(path, "/")
		if !ok || len(token) < 40 {
			t.Fatal("the link is not one to this server")
		}
		if strings.Contains(s.Dump(), token) || s.Logs.Contains(token) {
			t.Error("the link is in the database or in the log")
		}
		if n := s.Count("mail_queue", "recipient = 'nora@example.com' AND kind = 'account-created'"); n != 1 {
			t.Errorf("%d mails are queued", n)
		}
		confirm := map[string]any{"token": token, "new_password": heartlocktest.Password}
		s.Anonymous().Call("POST", "/auth/password-reset/confirm/", confirm).Want(204)
		s.Login("nora@example.com")
		s.Anonymous().Call("POST", "/auth/password-reset/confirm/", confirm).WantProblem(410)

		// A reset by an administrator: what was is ended when it is used, not before.
		nora := s.Login("nora@example.com")
		var reset api.PasswordLink
		owner.Call("POST", "/admin/users/"+made.ID+"/reset-password/", nil).Want(201).Decode(&reset)
		nora.Call("GET", "/auth/me/", nil).Want(200)
		s.Login("nora@example.com")
		if n := s.Count("mail_queue", "recipient = 'nora@example.com' AND kind = 'password-reset'"); n != 1 {
			t.Errorf("%d mails of the reset are queued", n)
		}
		confirm["token"] = strings.TrimSuffix(strings.TrimPrefix(reset.Link.Reveal(), s.URL+"/password-reset/"), "/")
		confirm["new_password"] = "another-horse-battery-staple"
		s.Anonymous().Call("POST", "/auth/password-reset/confirm/", confirm).Want(204)
		nora.Call("GET", "/auth/me/", nil).WantProblem(401)

		owner.Call("PATCH", "/admin/users/"+made.ID+"/", map[string]any{"is_active": false}).Want(200)
		owner.Call("POST", "/admin/users/"+made.ID+"/reset-password/", nil).WantProblem(409)
		owner.Call("POST", "/admin/users/"+randomID()+"/reset-password/", nil).WantProblem(404)
	})
}

// TestOnlyAdministratorsAdminister tries every route of administration as
// everybody else, also on himself.
func TestOnlyAdministratorsAdminister(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		before := s.State()
		for _, caller := range []string{"admin", "member", "viewer", "outsider", "read-token", "write-token", "foreign-token", "anonymous"} {
			c, want := w.callers[caller], 403
			if caller == "anonymous" {
				want = 401
			}
			for _, id := range []string{owner.UserID, c.UserID, randomID(), "none"} {
				if id == "" {
					continue
				}
				target := "/admin/users/" + id + "/"
				c.Call("GET", target, nil).WantProblem(want)
				c.Call("PATCH", target, map[string]any{"is_superuser": true}).WantProblem(want)
				c.Call("POST", target+"reset-password/", nil).WantProblem(want)
				c.Call("POST", target+"end-sessions/", nil).WantProblem(want)
				c.Call("DELETE", target+"second-factor/", nil).WantProblem(want)
			}
			c.Call("GET", "/admin/users/", nil).WantProblem(want)
			c.Call("GET", "/admin/users/?q=owner", nil).WantProblem(want)
			c.Call("POST", "/admin/users/", map[string]any{"email": "eve@example.com", "is_superuser": true}).WantProblem(want)
			c.Call("GET", "/admin/projects/", nil).WantProblem(want)
			for _, ref := range []string{w.p1.slug, w.p2.id, "never-was", randomID()} {
				c.Call("POST", "/admin/projects/"+ref+"/join/", map[string]any{"role": "owner"}).WantProblem(want)
			}
		}
		// An administrator's token reads, and changes nothing.
		personal := w.callers["owner-token"]
		personal.Call("GET", "/admin/users/", nil).Want(200)
		personal.Call("PATCH", "/admin/users/"+w.callers["viewer"].UserID+"/", map[string]any{"is_superuser": true}).WantProblem(403)
		personal.Call("POST", "/admin/users/", map[string]any{"email": "eve@example.com"}).WantProblem(403)
		personal.Call("POST", "/admin/users/"+w.callers["viewer"].UserID+"/reset-password/", nil).WantProblem(403)
		personal.Call("POST", "/admin/projects/"+w.p2.slug+"/join/", map[string]any{"role": "viewer"}).WantProblem(403)
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
	})
}

// TestNobodyMakesHimselfMore sends what is not his to set with what is.
func TestNobodyMakesHimselfMore(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		s.AddUser("viewer@example.com")
		viewer := s.Login("viewer@example.com")
		before := s.State()
		for _, body := range []string{
			`{"first_name":"a","is_superuser":true}`, `{"is_superuser":true}`, `{"Is_Superuser":true}`, `{"is_active":true}`,
			`{"id":"` + owner.UserID + `"}`, `{"email":"owner@example.com"}`, `{"email_verified":true}`, `{"has_password":false}`,
			`{"first_name":"a","first_name":"b"}`, `{"First_Name":"a"}`, `{"first_name":"a","role":"owner"}`, `{"password_hash":""}`,
			`{"first_name":"a","account":{"is_superuser":true}}`, `[{"first_name":"a"}]`,
		} {
			viewer.Call("PATCH", "/auth/me/", body).WantProblem(400)
			if !strings.HasPrefix(body, `{"is_superuser"`) && !strings.Contains(body, `"is_active"`) && !strings.Contains(body, `"a","is_superuser":true}`) {
				owner.Call("PATCH", "/admin/users/"+viewer.UserID+"/", body).WantProblem(400)
			}
		}
		for _, body := range []string{
			`{"is_superuser":"true"}`, `{"is_superuser":1}`, `{"is_superuser":true,"is_superuser":false}`, `{"IS_SUPERUSER":true}`,
			`{"password":"` + heartlocktest.Password + `"}`, `{"last_login_at":null}`, `{"projects":3}`, `{"first_name":"` + strings.Repeat("x", 101) + `"}`,
			`{"first_name":"\u202e"}`,
		} {
			owner.Call("PATCH", "/admin/users/"+viewer.UserID+"/", body).WantProblem(400)
		}
		for _, body := range []string{
			`{"email":"x@example.com","id":"` + randomID() + `"}`, `{"email":"x@example.com","is_active":false}`, `{"email":"x@example.com","Email":"y@example.com"}`,
			`{"email":"no address"}`, `{"email":""}`, `{}`, `{"email":"x@example.com","password":"short"}`, `{"email":"x@example.com","password":""}`,
			`{"email":"x@example.com","projects":[]}`, `{"email":"x@example.com","email_verified":true}`,
		} {
			owner.Call("POST", "/admin/users/", body).WantProblem(400)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
	})
}

// TestAnAdministratorIsNoMember: he sees that a project is there, and of its
// contents nothing until he joins, which its owners are told.
func TestAnAdministratorIsNoMember(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p2 := "/projects/" + w.p2.slug + "/"
		for _, path := range []string{"", "environments/", "environments/development/secrets/", "environments/development/secrets/API_KEY/", "audit/", "tokens/"} {
			theirs := owner.Call("GET", p2+path, nil)
			theirs.WantProblem(404)
			if never := owner.Call("GET", "/projects/never-was/"+path, nil); theirs.Canonical() != never.Canonical() {
				t.Errorf("%s can be told from what never was", path)
			}
		}
		var list api.Page[api.AdminProject]
		answer := owner.Call("GET", "/admin/projects/?limit=1000", nil).Want(200).Decode(&list)
		found := false
		for _, p := range list.Results {
			if p.ID == w.p2.id {
				found = cmp.Equal(p.Owners, []string{"outsider@example.com"}) && p.Members == 1
			}
		}
		if !found || strings.Contains(answer.Body, "API_KEY") {
			t.Errorf("the list of projects: %s", answer.Body)
		}
		join := func(ref, role string) heartlocktest.Answer {
			return owner.Call("POST", "/admin/projects/"+ref+"/join/", map[string]any{"role": role})
		}
		for _, role := range []string{"", "Owner", "root", "owner "} {
			join(w.p2.slug, role).WantProblem(400)
		}
		for _, ref := range []string{"never-was", randomID(), "No Slug"} {
			join(url.PathEscape(ref), "viewer").WantProblem(404)
		}
		join(w.p2.slug, "viewer").Want(200)
		owner.Call("GET", p2+"environments/development/secrets/API_KEY/", nil).Want(200)
		owner.Call("PUT", p2+"environments/development/secrets/API_KEY/", map[string]any{"value": "x"}).WantProblem(403)
		join(w.p2.id, "viewer").WantProblem(409)
		join(w.p2.id, "owner").Want(200)
		join(w.p2.id, "admin").WantProblem(409)
		if n := s.Count("mail_queue", "recipient = 'outsider@example.com' AND kind = 'administrator-joined'"); n != 2 {
			t.Errorf("%d mails to the owner", n)
		}
		if n := s.Count("mail_queue", "kind = 'administrator-joined'"); n != 2 {
			t.Errorf("%d mails in all", n)
		}
		var trail api.Page[api.AuditEvent]
		w.callers["outsider"].Call("GET", p2+"audit/?action=project.join", nil).Want(200).Decode(&trail)
		if len(trail.Results) != 2 || trail.Results[0].Detail["role"] != "owner" || trail.Results[0].Detail["former_role"] != "viewer" || trail.Results[0].Actor.Name != heartlocktest.OwnerEmail {
			t.Errorf("the trail of the project: %+v", trail.Results)
		}
	})
}

// TestTheLastOwnerIsNotSwitchedOff, until an administrator has joined.
func TestTheLastOwnerIsNotSwitchedOff(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		outsider := w.callers["outsider"]
		for i := range 6 {
			w.newProject("outsider", fmt.Sprint("more-", i))
		}
		target := "/admin/users/" + outsider.UserID + "/"
		before := s.State()
		p := owner.Call("PATCH", target, map[string]any{"is_active": false}).WantProblem(409)
		if !strings.Contains(p.Detail, "more-0") || !strings.Contains(p.Detail, "and 2 more") || !strings.Contains(p.Detail, "join") {
			t.Errorf("it says: %s", p.Detail)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
		outsider.Call("GET", "/auth/me/", nil).Want(200)
		var list api.Page[api.AdminProject]
		owner.Call("GET", "/admin/projects/", nil).Want(200).Decode(&list)
		for _, project := range list.Results {
			if cmp.Equal(project.Owners, []string{"outsider@example.com"}) {
				owner.Call("POST", "/admin/projects/"+project.ID+"/join/", map[string]any{"role": "owner"}).Want(200)
			}
		}
		owner.Call("PATCH", target, map[string]any{"is_active": false}).Want(200)
		outsider.Call("GET", "/auth/me/", nil).WantProblem(401)
		w.callers["foreign-token"].Call("GET", "/projects/"+w.p2.slug+"/environments/development/secrets/API_KEY/", nil).Want(200)
		// And himself, whom the server needs.
		owner.Call("PATCH", "/admin/users/"+owner.UserID+"/", map[string]any{"is_active": false}).WantProblem(409)
		owner.Call("PATCH", "/admin/users/"+owner.UserID+"/", map[string]any{"is_superuser": false}).WantProblem(409)
		owner.Call("GET", "/auth/me/", nil).Want(200)
	})
}

// TestSessionsAndFactorsAreTakenAway for those who have lost a machine or a phone.
func TestSessionsAndFactorsAreTakenAway(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		id := s.AddUser("viewer@example.com")
		callers := []*heartlocktest.Caller{s.Login("viewer@example.com"), s.Login("viewer@example.com")}
		var personal api.PersonalToken
		callers[0].Call("POST", "/auth/tokens/", map[string]any{"name": "own"}).Want(201).Decode(&personal)
		var ended api.EndedSessions
		owner.Call("POST", "/admin/users/"+id+"/end-sessions/", nil).Want(200).Decode(&ended)
		for _, c := range callers {
			c.Call("GET", "/auth/me/", nil).WantProblem(401)
		}
		s.WithToken("own", personal.Token.Reveal()).Call("GET", "/auth/me/", nil).Want(200)
		if ended.Sessions != 2 {
			t.Errorf("%d sessions ended", ended.Sessions)
		}
		owner.Call("DELETE", "/admin/users/"+id+"/second-factor/", nil).WantProblem(404)
		s.Exec("INSERT INTO second_factors (user_id, sealed, key_fingerprint, created_at, confirmed_at, last_step) VALUES ('" + id + "', 'x', 'x', 1, 1, 0)")
		owner.Call("DELETE", "/admin/users/"+id+"/second-factor/", nil).Want(204)
		s.Login("viewer@example.com")
		if n := s.Count("mail_queue", "recipient = 'viewer@example.com' AND kind = 'second-factor-changed'"); n != 1 {
			t.Errorf("%d mails", n)
		}
	})
}

// A session of an administrator that was stolen takes nothing from his own account
// that its thief would need the password for, and one from before he was an
// administrator ends.
func TestAdministratorsAndTheirOwnAccounts(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		bobID := s.AddUser("bob@example.com")
		bob := s.Login("bob@example.com")
		owner.Call("PATCH", "/admin/users/"+bobID+"/", map[string]any{"is_superuser": true}).Want(200)
		bob.Call("GET", "/auth/me/", nil).WantProblem(401)
		bob = s.Login("bob@example.com")
		s.Exec("INSERT INTO second_factors (user_id, sealed, key_fingerprint, created_at, confirmed_at, last_step) VALUES ('" + bobID + "', 'x', 'x', 1, 1, 0)")
		bob.Call("DELETE", "/admin/users/"+bobID+"/second-factor/", nil).WantProblem(409)
		bob.Call("POST", "/admin/users/"+bobID+"/reset-password/", nil).WantProblem(409)
		if n := s.Count("password_resets", "1 = 1"); n != 0 || s.Count("second_factors", "1 = 1") != 1 {
			t.Errorf("%d links, or no second factor", n)
		}
		owner.Call("PATCH", "/admin/users/"+bobID+"/", map[string]any{"is_superuser": true}).Want(200) // as he is
		bob.Call("GET", "/auth/me/", nil).Want(200)
		s.Exec("UPDATE users SET password_hash = '' WHERE id = '" + bobID + "'")
		bob.Call("POST", "/admin/users/"+bobID+"/reset-password/", nil).Want(201)
	})
}
