package rest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
)

// asLimited gives the limited member's two ways to call: by session and by a
// personal token.
func (w *world) asLimited() map[string]*heartlocktest.Caller {
	w.t.Helper()
	var made api.PersonalToken
	w.callers["limited"].Call("POST", "/auth/tokens/", map[string]any{"name": "laptop"}).Want(201).Decode(&made)
	return map[string]*heartlocktest.Caller{
		"session": w.callers["limited"], "token": w.s.WithToken("limited's token", made.Token.Reveal()),
	}
}

// TestAWithheldEnvironmentLooksLikeNone calls every route of an environment with
// the slug and the id of one that is withheld from the caller. The answer must be,
// byte for byte, the one for something that never existed, and nothing may change.
func TestAWithheldEnvironmentLooksLikeNone(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		callers := w.asLimited()
		production := w.p1.environments["production"]
		before := s.State()
		for _, r := range rest.Routes() {
			if !strings.Contains(r.Path, "{environment}") {
				continue
			}
			for how, c := range callers {
				body := w.bodyOf(r)
				call := func(project, environment string) string {
					return c.Call(r.Method, pathOf(r, project, environment, "API_KEY", ""), body).Canonical()
				}
				never := call(w.p1.slug, randomID())
				for _, path := range [][2]string{
					{w.p1.slug, "never-was"},
					{w.p1.slug, "production"},
					{w.p1.slug, production},
					{w.p1.id, "production"},
					{w.p1.id, production},
					{w.p1.slug, strings.ToUpper(production)},
				} {
					got := call(path[0], path[1])
					if diff := cmp.Diff(never, got); diff != "" || !strings.Contains(got, "404") {
						t.Errorf("%s of %s by %s differs from what never was:\n%s", name(r), path[1], how, diff)
					}
				}
			}
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
	})
}

// TestNothingOfAWithheldEnvironmentIsEverRead puts a mark into everything of an
// environment that can hold text, its slug included, and looks for it in every
// answer to a member from whom the environment is withheld.
func TestNothingOfAWithheldEnvironmentIsEverRead(t *testing.T) {
	const canary = "CANARY_7f3a9c"
	const slug = "canary-7f3a9c"
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1 := "/projects/" + w.p1.slug + "/"
		production := w.p1.environments["production"]
		owner.Call("PATCH", p1+"environments/"+production+"/", map[string]any{"name": canary, "slug": slug}).Want(200)
		secret := p1 + "environments/" + slug + "/secrets/" + canary + "/"
		owner.Call("PUT", secret, map[string]any{"value": canary, "comment": canary}).Want(201)
		owner.Call("PUT", secret, map[string]any{"value": canary + "2"}).Want(200)
		owner.Call("POST", p1+"tokens/", map[string]any{"name": "ci", "environments": []string{slug}, "access": "read"}).Want(201)
		owner.Call("PATCH", p1+"members/"+w.callers["viewer"].UserID+"/", map[string]any{"environments": map[string]any{slug: "read"}}).Want(200)
		if seen := owner.Call("GET", p1+"members/", nil).Want(200).Body; strings.Count(seen, slug) != 2 {
			t.Fatalf("the limits of two members are not where they should be: %s", seen)
		}
		callers := w.asLimited()
		before := s.State()
		for _, r := range rest.Routes() {
			if r.Method != "GET" {
				continue
			}
			id := w.callers["viewer"].UserID
			for _, environment := range []string{"development", "staging", slug, production} {
				path := pathOf(r, w.p1.slug, environment, canary, id)
				for _, query := range []string{"", "?values=true", "?deleted=true", "?revision=1", "?limit=1000", "?q=" + canary, "?environment=" + slug} {
					for how, c := range callers {
						if got := c.Call("GET", path+query, nil); strings.Contains(got.Body, canary) || strings.Contains(got.Body, slug) || strings.Contains(got.Body, production) {
							t.Errorf("GET %s%s by %s shows what is withheld: %.300s", path, query, how, got.Body)
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

// TestLimitsCanNotBeWalkedAround tries what else a member may do to get at more.
func TestLimitsCanNotBeWalkedAround(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1, limited := "/projects/"+w.p1.slug+"/", w.callers["limited"]
		staging := p1 + "environments/staging/"
		own := p1 + "members/" + limited.UserID + "/"
		before := s.State()
		for _, try := range []struct {
			method, path string
			body         any
			want         int
		}{
			{"POST", p1 + "tokens/", map[string]any{"name": "wide", "environments": []string{"production"}, "access": "write"}, 403},
			{"POST", p1 + "invitations/", map[string]any{"email": "other@example.com", "role": "member"}, 403},
			{"GET", p1 + "audit/", nil, 403},
			{"PATCH", own, map[string]any{"environments": map[string]any{"production": "write"}}, 403},
			{"PATCH", own, map[string]any{"role": "admin"}, 403},
			{"PATCH", staging, map[string]any{"slug": "mine"}, 403},
			{"PATCH", staging, map[string]any{"protected": false}, 403},
			{"DELETE", staging, nil, 403},
			{"POST", staging + "restore/", map[string]any{"revision": 0}, 403},
			{"POST", staging + "secrets/bulk/", map[string]any{"unset": []string{"API_KEY"}}, 403},
			{"POST", staging + "secrets/API_KEY/rollback/", map[string]any{"version": 1}, 403},
			{"DELETE", p1 + "environments/production/", nil, 404},
			{"POST", p1 + "environments/production/restore/", map[string]any{"revision": 0}, 404},
			{"PATCH", p1 + "environments/development/", map[string]any{"slug": "production"}, 409},
			{"PATCH", p1 + "environments/development/", map[string]any{"protected": true}, 403},
			{"POST", p1 + "environments/", map[string]any{"name": "Mine", "protected": true}, 403},
			{"PATCH", p1, map[string]any{"name": "Mine"}, 403},
			{"DELETE", p1, nil, 403},
		} {
			limited.Call(try.method, try.path, try.body).WantProblem(try.want)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
		// A new environment comes after all that there are, also those he can not see.
		var made api.Environment
		limited.Call("POST", p1+"environments/", map[string]any{"name": "Preview"}).Want(201).Decode(&made)
		if made.Position != 3 {
			t.Errorf("the new environment is at %d", made.Position)
		}
		limited.Call("PUT", p1+"environments/preview/secrets/A/", map[string]any{"value": "x"}).Want(201)
	})
}
