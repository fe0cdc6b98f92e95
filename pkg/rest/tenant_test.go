package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
	"github.com/heartlock/heartlock/pkg/vault"
)

func randomID() string { return uuid.Must(uuid.NewV7()).String() }

// foreign are the callers who must not learn that P1 exists.
var foreign = []string{"outsider", "foreign-token"}

// pathOf fills a route's path with given parts.
func pathOf(r rest.Route, project, environment, key, id string) string {
	return strings.NewReplacer("{project}", project, "{environment}", environment, "{other}", environment, "{key}", key, "{id}", id, "{user}", id, "{token}", id).Replace(r.Path)
}

// bodyOf is the example's body.
func (w *world) bodyOf(r rest.Route) any {
	if e := examples[name(r)]; e.body != nil {
		return e.body(w)
	}
	return nil
}

// notVisible is the status of what the caller can not see: service tokens, and
// whoever does not administer the server, are told that a route is not for them
// before anything is looked up.
func notVisible(r rest.Route, caller string) int {
	if rule, _ := vault.RuleFor(r.Action); rule.Open && !rule.NoToken {
		return http.StatusNotFound
	} else if rule.Superuser || caller == "foreign-token" && rule.Token == "" {
		return http.StatusForbidden
	}
	return http.StatusNotFound
}

// TestForeignObjectsLookLikeNone calls every route that has a parameter with the
// slugs and ids of another tenant. The answer must be, byte for byte, the one
// for something that never existed, and nothing may change.
func TestForeignObjectsLookLikeNone(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		var sessions api.Page[api.Session]
		owner.Call("GET", "/auth/sessions/", nil).Want(200).Decode(&sessions)
		var tokens api.Page[api.PersonalToken]
		owner.Call("GET", "/auth/tokens/", nil).Want(200).Decode(&tokens)
		s.Exec("INSERT INTO identities (provider, subject, user_id, email, created_at) VALUES ('https://id.example.com', '1', '" + owner.UserID + "', 'o@example.com', 1)")
		var identities api.Page[api.Identity]
		owner.Call("GET", "/auth/identities/", nil).Want(200).Decode(&identities)
		ids := map[string]string{
			"/auth/identities/{id}/":           identities.Results[0].ID,
			"/auth/sessions/{id}/":             sessions.Results[0].ID,
			"/auth/tokens/{id}/":               tokens.Results[0].ID,
			"/projects/{project}/tokens/{id}/": w.p1.tokens["read-token"].ID,
			member:                             owner.UserID,

			// Whoever has a link may open it; this has the form of one's end.
			"/invitations/{token}/":        strings.Repeat("A", 43),
			"/invitations/{token}/accept/": strings.Repeat("A", 43),
			invitations + "{id}/":          pendingInvitation(w, ""),
			invitations + "{id}/resend/":   pendingInvitation(w, ""),

			"/admin/users/{id}/":                owner.UserID,
			"/admin/users/{id}/reset-password/": owner.UserID,
			"/admin/users/{id}/end-sessions/":   owner.UserID,
			"/admin/users/{id}/second-factor/":  owner.UserID,
		}
		before := s.State()
		for _, r := range rest.Routes() {
			if !strings.Contains(r.Path, "{") {
				continue
			}
			id := ids[r.Path]
			if hasID(r) && id == "" {
				t.Errorf("%s: say here what {id} is of the other tenant", name(r))
			}
			for _, caller := range foreign {
				c, body := w.callers[caller], w.bodyOf(r)
				want := notVisible(r, caller)
				never := c.Call(r.Method, pathOf(r, "never-was", "never-was", "NEVER_WAS", randomID()), body).Canonical()
				neverByID := c.Call(r.Method, pathOf(r, randomID(), randomID(), "NEVER_WAS", randomID()), body).Canonical()
				for _, path := range foreignPaths(w, r, id) {
					got := c.Call(r.Method, path, body)
					got.WantProblem(want)
					if diff := cmp.Diff(never, got.Canonical()); diff != "" {
						t.Errorf("%s %s as %s differs from what never was:\n%s", r.Method, path, caller, diff)
					}
					if diff := cmp.Diff(neverByID, got.Canonical()); diff != "" {
						t.Errorf("%s %s as %s differs from ids that never were:\n%s", r.Method, path, caller, diff)
					}
				}
			}
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("foreign calls changed the database:\n%s", diff)
		}
	})
}

// foreignPaths are the ways to name what belongs to P1: by slugs, by ids, and as
// a child of P2.
func foreignPaths(w *world, r rest.Route, id string) []string {
	if !strings.Contains(r.Path, "{project}") {
		return []string{pathOf(r, "", "", "", id)}
	}
	development := w.p1.environments["development"]
	paths := []string{
		pathOf(r, w.p1.slug, "development", "API_KEY", id),
		pathOf(r, w.p1.id, development, "API_KEY", id),
		pathOf(r, w.p1.slug, development, "API_KEY", id),
		pathOf(r, strings.ToUpper(w.p1.slug), "development", "API_KEY", id),
		pathOf(r, strings.ToUpper(w.p1.id), development, "API_KEY", id),
	}
	if strings.Contains(r.Path, "{environment}") || hasID(r) {
		// The parent is the caller's own, the child is not.
		paths = append(paths, pathOf(r, w.p2.slug, development, "API_KEY", id), pathOf(r, w.p2.id, development, "API_KEY", id))
	}
	return paths
}

// TestNothingOfAnotherTenantIsEverRead puts a mark into everything of P1 that
// can hold text and looks for it in every answer to everybody outside.
func TestNothingOfAnotherTenantIsEverRead(t *testing.T) {
	const canary = "CANARY_7f3a9c"
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1 := "/projects/" + w.p1.slug + "/"
		owner.Call("PATCH", p1, map[string]any{"name": canary, "description": canary}).Want(200)
		owner.Call("PATCH", p1+"environments/development/", map[string]any{"name": canary}).Want(200)
		owner.Call("PUT", p1+"environments/development/secrets/"+canary+"/", map[string]any{"value": canary, "comment": canary}).Want(201)
		owner.Call("POST", p1+"tokens/", map[string]any{"name": canary, "environments": []string{"development"}, "access": "read"}).Want(201)
		owner.Call("POST", "/auth/tokens/", map[string]any{"name": canary}).Want(201)
		owner.Call("PATCH", "/auth/me/", map[string]any{"first_name": canary}).Want(200)
		seen := owner.Call("GET", p1+"environments/development/secrets/?values=true", nil).Want(200)
		if !strings.Contains(seen.Body, canary) {
			t.Fatal("the mark is not where it should be")
		}
		before := s.State()
		for _, r := range rest.Routes() {
			if r.Method != "GET" {
				continue
			}
			for _, caller := range append([]string{"anonymous"}, foreign...) {
				for _, project := range []string{w.p1.slug, w.p1.id, w.p2.slug} {
					for _, environment := range []string{"development", w.p1.environments["development"]} {
						path := pathOf(r, project, environment, canary, randomID())
						for _, query := range []string{"", "?values=true", "?limit=1000", "?q=" + canary, "?search=" + canary, "?project=" + w.p1.slug, "?actor=" + owner.UserID} {
							if got := w.callers[caller].Call("GET", path+query, nil); strings.Contains(got.Body, canary) {
								t.Errorf("GET %s%s as %s shows what is P1's: %.300s", path, query, caller, got.Body)
							}
						}
					}
				}
			}
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("reading changed the database:\n%s", diff)
		}
	})
}

// TestServiceTokenKeepsToItsScope tries every way out of a token that may read
// one environment.
func TestServiceTokenKeepsToItsScope(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1 := "/projects/" + w.p1.slug + "/"
		w.newToken("owner", &w.p1, "narrow", "read", []string{"development"})
		c := w.callers["narrow"]
		before := s.State()

		c.Call("GET", p1+"environments/development/secrets/API_KEY/", nil).Want(200)
		var environments api.Page[api.Environment]
		c.Call("GET", p1+"environments/", nil).Want(200).Decode(&environments)
		if len(environments.Results) != 1 || environments.Results[0].Slug != "development" {
			t.Errorf("the token sees other environments: %+v", environments.Results)
		}
		var me api.Me
		c.Call("GET", "/auth/me/", nil).Want(200).Decode(&me)
		if me.Account != nil || me.ServiceToken == nil || me.ServiceToken.Project != w.p1.slug || !cmp.Equal(me.ServiceToken.Environments, []string{"development"}) {
			t.Errorf("the token is told of itself: %+v", me)
		}
		never := c.Call("GET", p1+"environments/never-was/secrets/API_KEY/", nil).Canonical()
		for _, environment := range []string{"staging", "production", w.p1.environments["production"]} {
			for _, method := range []string{"GET", "PUT", "DELETE", "PATCH"} {
				var body any
				if method == "PUT" {
					body = map[string]any{"value": "x"}
				} else if method == "PATCH" {
					body = map[string]any{"comment": "x"}
				}
				got := c.Call(method, p1+"environments/"+environment+"/secrets/API_KEY/", body)
				got.WantProblem(404)
				if method == "GET" && got.Canonical() != never {
					t.Errorf("%s can be told from what never was", environment)
				}
			}
			c.Call("GET", p1+"environments/"+environment+"/secrets/?values=true", nil).WantProblem(404)
			c.Call("GET", p1+"environments/"+environment+"/", nil).WantProblem(404)
		}
		for _, refused := range []struct {
			method, path string
			body         any
		}{
			{"PUT", p1 + "environments/development/secrets/API_KEY/", map[string]any{"value": "x"}},
			{"POST", p1 + "environments/development/secrets/bulk/", map[string]any{"set": map[string]any{"A": "b"}}},
			{"GET", p1 + "tokens/", nil},
			{"POST", p1 + "tokens/", map[string]any{"name": "wider", "environments": []string{"production"}, "access": "write"}},
			{"GET", p1 + "audit/", nil},
			{"GET", "/auth/tokens/", nil},
			{"POST", "/auth/tokens/", map[string]any{"name": "wider"}},
			{"GET", "/auth/sessions/", nil},
			{"PATCH", "/auth/me/", map[string]any{"first_name": "Eve"}},
			{"POST", "/projects/", map[string]any{"name": "Mine"}},
		} {
			c.Call(refused.method, refused.path, refused.body).WantProblem(403)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
	})
}

// TestTokensEndAtOnce revokes, expires, binds and deactivates.
func TestTokensEndAtOnce(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1 := "/projects/" + w.p1.slug + "/"
		read := p1 + "environments/development/secrets/API_KEY/"
		unauthenticated := func(a heartlocktest.Answer) {
			t.Helper()
			a.WantProblem(401)
			if a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("WWW-Authenticate is %q", a.Header.Get("WWW-Authenticate"))
			}
		}

		c := w.callers["read-token"]
		c.Call("GET", read, nil).Want(200)
		owner.Call("DELETE", p1+"tokens/"+w.p1.tokens["read-token"].ID+"/", nil).Want(204)
		unauthenticated(c.Call("GET", read, nil))
		owner.Call("DELETE", p1+"tokens/"+w.p1.tokens["read-token"].ID+"/", nil).WantProblem(404)

		c = w.callers["write-token"]
		c.Call("GET", read, nil).Want(200)
		s.Exec("UPDATE tokens SET expires_at = 1 WHERE id = '" + w.p1.tokens["write-token"].ID + "'")
		unauthenticated(c.Call("GET", read, nil))

		for cidrs, want := range map[string]int{
			"203.0.113.0/24": 403, "127.0.0.1/32": 200, "203.0.113.0/24,127.0.0.0/8": 200, "::/0": 403,
		} {
			var made api.ServiceToken
			owner.Call("POST", p1+"tokens/", map[string]any{
				"name": "bound", "environments": []string{"development"}, "access": "read", "allowed_cidrs": strings.Split(cidrs, ","),
			}).Want(201).Decode(&made)
			bound := s.WithToken("bound", made.Token.Reveal())
			bound.Call("GET", read, nil).Want(want)
			bound.Call("GET", read, nil, "X-Forwarded-For: 203.0.113.9").Want(want) // not believed unless told to
		}

		personal := w.callers["owner-token"]
		personal.Call("GET", read, nil).Want(200)
		viewer := w.callers["viewer"]
		viewer.Call("GET", read, nil).Want(200)
		var own api.PersonalToken
		viewer.Call("POST", "/auth/tokens/", map[string]any{"name": "own"}).Want(201).Decode(&own)
		viewersToken := s.WithToken("viewer's token", own.Token.Reveal())
		viewersToken.Call("GET", read, nil).Want(200)
		s.SetActive(viewer.UserID, false)
		unauthenticated(viewersToken.Call("GET", read, nil))
		unauthenticated(viewer.Call("GET", read, nil))
		s.SetActive(viewer.UserID, true)
		viewersToken.Call("GET", read, nil).Want(200)

		s.Exec("DELETE FROM memberships WHERE user_id = '" + viewer.UserID + "'")
		viewersToken.Call("GET", read, nil).WantProblem(404)
		viewer.Call("GET", read, nil).WantProblem(404)
	})
}

// TestUseOfATokenShows: whoever looks at a list of tokens must be able to tell
// which of them nobody uses, also if they only write.
func TestUseOfATokenShows(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1 := "/projects/" + w.p1.slug + "/"
		for _, use := range []struct {
			method, path string
			body         any
		}{
			{"PUT", p1 + "environments/development/secrets/OTHER/", map[string]any{"value": "x"}},
			{"GET", p1 + "environments/development/secrets/", nil},
			{"GET", p1 + "environments/development/secrets/?values=true", nil},
			{"GET", p1, nil},
			{"GET", "/projects/", nil},
			{"GET", "/auth/me/", nil},
		} {
			w.newToken("owner", &w.p1, "used", "write", []string{"development"})
			w.callers["used"].Call(use.method, use.path, use.body)
			id := w.p1.tokens["used"].ID
			heartlocktest.Eventually(t, use.method+" "+use.path+" shows as a use of the token", func() bool {
				var list api.Page[api.ServiceToken]
				owner.Call("GET", p1+"tokens/", nil).Want(200).Decode(&list)
				for _, token := range list.Results {
					if token.ID == id {
						return token.LastUsedAt != nil && token.LastUsedIP == "127.0.0.1"
					}
				}
				return false
			})
		}
	})
}
