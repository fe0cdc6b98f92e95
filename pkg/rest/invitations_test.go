package rest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// TestInvitationsOverHTTP follows one from the request to the session of the new
// account.
func TestInvitationsOverHTTP(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		all := "/projects/" + w.p1.slug + "/invitations/"
		var made api.Invitation
		owner.Call("POST", all, map[string]any{
			"email": "Bob@Example.com", "role": "member", "environments": map[string]any{"production": "none"},
		}).Want(201).Decode(&made)
		token := linkToken(t, made)
		if link := made.Link.Reveal(); link != s.URL+"/invitations/"+token+"/" {
			t.Errorf("the link is not to this server")
		}
		list := owner.Call("GET", all, nil).Want(200)
		if strings.Contains(list.Body, token) || strings.Contains(list.Body, `"link"`) || !strings.Contains(list.Body, "bob@example.com") {
			t.Errorf("the list: %s", list.Body)
		}
		before := s.State()
		open := "/invitations/" + token + "/"
		for range 10 {
			s.Anonymous().Call("GET", open, nil).Want(200)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("looking at a link changed the database:\n%s", diff)
		}

		good := map[string]any{"password": heartlocktest.Password, "first_name": "Bob", "last_name": "B"}
		for _, bad := range []map[string]any{
			{"password": heartlocktest.Password, "email": "eve@example.com"},
			{"password": heartlocktest.Password, "role": "owner"},
			{"password": heartlocktest.Password, "is_superuser": true},
			{"password": ""},
			{"password": nil},
			{"password": "12345678"},
			{"first_name": "Bob"},
		} {
			s.Anonymous().Call("POST", open+"accept/", bad).WantProblem(400)
		}
		// Another site must not sign a browser in to an account of its choice.
		for _, origin := range []string{"Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Referer: https://evil.example/"} {
			if p := s.Anonymous().Call("POST", open+"accept/", good, origin).WantProblem(403); !strings.HasPrefix(p.Detail, "CSRF Failed") {
				t.Errorf("%s: %s", origin, p.Detail)
			}
		}
		outsider := w.callers["outsider"]
		if p := outsider.Call("POST", open+"accept/", map[string]any{}).WantProblem(403); !strings.Contains(p.Detail, "another address") {
			t.Errorf("another account is told: %s", p.Detail)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}

		bob := s.Anonymous()
		var accepted api.AcceptedInvitation
		bob.Call("POST", open+"accept/", good, "Origin: "+s.URL).Want(200).Decode(&accepted)
		if accepted.Account.Email != "bob@example.com" || accepted.Project.Slug != w.p1.slug || accepted.Project.Role != api.RoleMember {
			t.Errorf("accepted: %+v", accepted)
		}
		var me api.Me
		bob.Call("GET", "/auth/me/", nil).Want(200).Decode(&me)
		if me.Account == nil || me.Email != "bob@example.com" || me.IsSuperuser {
			t.Errorf("the new session is of %+v", me)
		}
		bob.Call("GET", "/projects/"+w.p1.slug+"/environments/production/", nil).WantProblem(404)
		bob.Call("PUT", "/projects/"+w.p1.slug+"/environments/staging/secrets/B/", map[string]any{"value": "x"}).Want(201)
		s.Anonymous().Call("POST", open+"accept/", good).WantProblem(410)
		s.Login("bob@example.com")

		audit := owner.Call("GET", "/projects/"+w.p1.slug+"/audit/", nil).Want(200)
		for _, want := range []string{"invitation.create", "invitation.accept", `"refused"`} {
			if !strings.Contains(audit.Body, want) {
				t.Errorf("the audit trail has no %s", want)
			}
		}
		for what, text := range map[string]string{"audit trail": audit.Body, "database": s.Dump(), "log": s.Logs.String()} {
			if strings.Contains(text, token) {
				t.Errorf("the %s holds the token of the link", what)
			}
		}
	})
}

// TestInvitationsAreStrict about roles, addresses and tokens.
func TestInvitationsAreStrict(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		all := "/projects/" + w.p1.slug + "/invitations/"
		_, token := w.invite("owner", w.p1.slug, "bob@example.com")
		before := s.State()
		for _, bad := range []string{
			`{"email":"a@example.com","role":"Owner"}`, `{"email":"a@example.com","role":"owner "}`, `{"email":"a@example.com","role":0}`,
			`{"email":"a@example.com","role":["owner"]}`, `{"email":["a@example.com","b@example.com"],"role":"viewer"}`, `{"email":"a@example.com"}`,
			`{"email":"a@example.com,b@example.com","role":"viewer"}`, `{"email":"a@example.com","role":"viewer","environments":["production"]}`,
			`{"email":"a@example.com","role":"viewer","environments":{"production":"None"}}`, `{"email":"a@example.com","role":"viewer","project":"second"}`,
		} {
			owner.Call("POST", all, bad).WantProblem(400)
		}
		never := s.Anonymous().Call("GET", "/invitations/"+strings.Repeat("A", 43)+"/", nil)
		never.WantProblem(404)
		for _, malformed := range []string{"x", token[:42], token + "A", strings.ToLower(token), "hlp_" + token} {
			if got := s.Anonymous().Call("GET", "/invitations/"+malformed+"/", nil); got.Canonical() != never.Canonical() {
				t.Errorf("what can be no token is told from what is none: %s", got.Body)
			}
			s.Anonymous().Call("POST", "/invitations/"+malformed+"/accept/", map[string]any{"password": heartlocktest.Password}).WantProblem(404)
		}
		// A bad credential is not looked past.
		s.WithToken("none", "hlp_none").Call("GET", "/invitations/"+token+"/", nil).WantProblem(401)
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
	})
}

// TestInvitationsWait tells when to come back.
func TestInvitationsWait(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		all := "/projects/" + w.p1.slug + "/invitations/"
		var made api.Invitation
		owner.Call("POST", all, map[string]any{"email": "bob@example.com", "role": "viewer"}).Want(201).Decode(&made)
		again := owner.Call("POST", all+made.ID+"/resend/", nil)
		again.WantProblem(429)
		if wait := again.Header.Get("Retry-After"); len(wait) != 3 || wait < "590" || wait > "600" {
			t.Errorf("Retry-After is %q", wait)
		}
		if p := owner.Call("POST", all, map[string]any{"email": "bob@example.com", "role": "viewer"}).WantProblem(409); !strings.Contains(p.Detail, "resend") {
			t.Errorf("who is invited already: %s", p.Detail)
		}
	})
}

// forgeries are ways to have a server believe that it has another name.
var forgeries = [][]string{
	{"X-Forwarded-Host: evil.example"},
	{"Forwarded: host=evil.example;proto=https"},
	{"X-Original-Host: evil.example", "X-Host: evil.example"},
	{"X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "X-Forwarded-Port: 8443", "X-Forwarded-Prefix: /evil"},
}

// TestLinksAreBuiltFromWhatIsConfigured: no request can put another host into a
// link, or in a mail.
func TestLinksAreBuiltFromWhatIsConfigured(t *testing.T) {
	for what, c := range map[string]struct {
		environ []string
		base    string // of links; empty: none can be made
		hosts   []string
	}{
		"the public address":          {[]string{"HEARTLOCK_APP_URL=https://secrets.example.com", "ALLOWED_HOSTS=*"}, "https://secrets.example.com", []string{"evil.example", "sub.evil.example:8443"}},
		"an exact host":               {[]string{"ALLOWED_HOSTS=127.0.0.1,secrets.example.com"}, "http://secrets.example.com", []string{"secrets.example.com", "SECRETS.example.com"}},
		"hosts of a domain":           {[]string{"ALLOWED_HOSTS=127.0.0.1,.example.com"}, "", []string{"evil.example.com", "example.com"}},
		"any host":                    {[]string{"ALLOWED_HOSTS=*"}, "", []string{"evil.example", "127.0.0.1"}},
		"a host that is not allowed":  {[]string{"ALLOWED_HOSTS=127.0.0.1"}, "", []string{"evil.example", "127.0.0.1:1@evil.example", "127.0.0.1.evil.example"}},
		"an exact host among domains": {[]string{"ALLOWED_HOSTS=.example.com,secrets.example.com,127.0.0.1"}, "", []string{"evil.example.com"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: c.environ})
			owner := s.Onboard()
			owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
			var personal api.PersonalToken
			owner.Call("POST", "/auth/tokens/", map[string]any{"name": "own"}).Want(201).Decode(&personal)
			caller := s.WithToken("own", personal.Token.Reveal())
			for _, host := range c.hosts {
				for _, forged := range append(forgeries, nil) {
					answer := caller.Call("POST", "/projects/shop/invitations/", map[string]any{"email": "bob@example.com", "role": "viewer"}, append(forged, "Host: "+host)...)
					if c.base == "" {
						answer.WantProblem(400)
						continue
					}
					var made api.Invitation
					answer.Want(201).Decode(&made)
					got := strings.Replace(made.Link.Reveal(), "https://secrets.example.com/", "http://secrets.example.com/", 1)
					want := strings.Replace(c.base, "https:", "http:", 1)
					if !strings.HasPrefix(got, want+"/invitations/") {
						t.Errorf("the link to %s with %q begins with %.30s", host, forged, made.Link.Reveal())
					}
					owner.Call("DELETE", "/projects/shop/invitations/"+made.ID+"/", nil).Want(204)
					s.Exec("DELETE FROM invitations")
				}
			}
			if c.base == "" {
				if n := s.Count("mail_queue", "1 = 1") + s.Count("invitations", "1 = 1"); n != 0 {
					t.Errorf("%d invitations or mails without a link", n)
				}
			}
		})
	}
}

// TestRefusalsOfInvitationsAreTold to those who look after the project, once each.
func TestRefusalsOfInvitationsAreTold(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		all, admin := "/projects/"+w.p1.slug+"/invitations/", w.callers["admin"]
		var sent api.Invitation
		owner.Call("POST", all, map[string]any{"email": "bob@example.com", "role": "owner"}).Want(201).Decode(&sent)
		told := func(action, actor, target string) {
			t.Helper()
			where := "action = '" + action + "' AND outcome = 'refused' AND actor_id = '" + w.callers[actor].UserID + "'"
			if n, all := s.Count("audit_events", where+" AND target = '"+target+"' AND project_id = '"+w.p1.id+"'"), s.Count("audit_events", where); n != 1 || all != 1 {
				t.Errorf("%s by the %s is told %d times, to the project %d times", action, actor, all, n)
			}
		}
		admin.Call("POST", all, map[string]any{"email": "eve@example.com", "role": "owner"}).WantProblem(403)
		told("invitation.create", "admin", "eve@example.com")
		admin.Call("POST", all+sent.ID+"/resend/", nil).WantProblem(403)
		told("invitation.resend", "admin", "bob@example.com")
		parts := strings.Split(strings.TrimSuffix(sent.Link.Reveal(), "/"), "/")
		w.callers["outsider"].Call("POST", "/invitations/"+parts[len(parts)-1]+"/accept/", map[string]any{}).WantProblem(403)
		told("invitation.accept", "outsider", "bob@example.com")
	})
}
