package rest_test

import (
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
)

// example is a request to a route that succeeds for whoever may make it.
type example struct {
	// id finds what {id} stands for, as something of the caller's own or of P1.
	id func(w *world, caller string) string
	// body of the request, if the route takes one.
	body func(w *world) any
	// status of success, if it is not the route's.
	status int
	// endsSessions of the caller: he has to sign in again.
	endsSessions bool
}

func fixedBody(b map[string]any) func(*world) any { return func(*world) any { return b } }

// examples has a line for every route. A new route needs one: the matrix of
// roles, the matrix of tenants and the tests of bad input are made from it.
var examples = map[string]example{
	"GET /health/":     {},
	"GET /ready/":      {},
	"GET /onboarding/": {},
	"POST /onboarding/": {
		status: 404, // the first run is finished
		body: fixedBody(map[string]any{"admin": map[string]any{
			"email": "second@example.com", "password": heartlocktest.Password,
		}}),
	},
	"POST /auth/login/": {body: fixedBody(map[string]any{
		"email": "viewer@example.com", "password": heartlocktest.Password,
	}), endsSessions: true},
	"POST /auth/logout/": {endsSessions: true},
	"GET /auth/me/":      {},
	"PATCH /auth/me/":    {body: fixedBody(map[string]any{"first_name": "Vera"})},
	"POST /auth/password/": {body: fixedBody(map[string]any{
		"current_password": heartlocktest.Password, "new_password": heartlocktest.Password,
	}), endsSessions: true},
	"GET /auth/sessions/":         {},
	"DELETE /auth/sessions/{id}/": {id: ownSession},
	"GET /auth/tokens/":           {},
	"POST /auth/tokens/":          {body: fixedBody(map[string]any{"name": "laptop"})},
	"DELETE /auth/tokens/{id}/":   {id: ownToken},

	"GET /admin/status/": {},

	"GET /projects/":                           {},
	"POST /projects/":                          {body: func(w *world) any { return map[string]any{"name": "Fresh", "slug": w.fresh("fresh")} }},
	"GET /projects/{project}/":                 {},
	"PATCH /projects/{project}/":               {body: fixedBody(map[string]any{"description": "changed"})},
	"DELETE /projects/{project}/":              {},
	"GET /projects/{project}/environments/":    {},
	"POST /projects/{project}/environments/":   {body: fixedBody(map[string]any{"name": "Preview"})},
	"GET /projects/{project}/audit/":           {},
	"GET /projects/{project}/tokens/":          {},
	"POST /projects/{project}/tokens/":         {body: fixedBody(map[string]any{"name": "ci", "environments": []string{"staging"}, "access": "read"})},
	"DELETE /projects/{project}/tokens/{id}/":  {id: staleToken},
	"GET " + environment:                       {},
	"PATCH " + environment:                     {body: fixedBody(map[string]any{"position": 7})},
	"DELETE " + environment:                    {},
	"GET " + environment + "secrets/":          {},
	"POST " + environment + "secrets/bulk/":    {body: fixedBody(map[string]any{"set": map[string]any{"NEW_KEY": "x"}, "unset": []string{"API_KEY"}})},
	"GET " + environment + "secrets/{key}/":    {},
	"PUT " + environment + "secrets/{key}/":    {body: fixedBody(map[string]any{"value": "changed"})},
	"PATCH " + environment + "secrets/{key}/":  {body: fixedBody(map[string]any{"comment": "changed"})},
	"DELETE " + environment + "secrets/{key}/": {},

	"GET " + environment + "secrets/{key}/versions/":  {},
	"POST " + environment + "secrets/{key}/rollback/": {body: fixedBody(map[string]any{"version": 1})},
	"GET " + environment + "revisions/":               {},
	"POST " + environment + "restore/":                {body: fixedBody(map[string]any{"revision": 0})},
}

const environment = "/projects/{project}/environments/{environment}/"

// ownSession makes a further session of the caller, or takes some id where he
// can have none.
func ownSession(w *world, caller string) string {
	who := caller
	if caller == "owner-token" {
		who = "owner"
	}
	if _, person := w.callers[who]; !person || w.callers[who].UserID == "" {
		return w.p1.id
	}
	var page api.Page[api.Session]
	other := w.s.Login(who + "@example.com")
	other.Call("GET", "/auth/sessions/", nil).Want(200).Decode(&page)
	for _, s := range page.Results {
		if s.Current {
			return s.ID
		}
	}
	w.t.Fatal("no current session")
	return ""
}

// ownToken makes a personal token of the caller.
func ownToken(w *world, caller string) string {
	if caller == "owner-token" {
		caller = "owner"
	}
	c := w.callers[caller]
	if c.UserID == "" {
		return w.p1.id
	}
	var made api.PersonalToken
	c.Call("POST", "/auth/tokens/", map[string]any{"name": "stale"}).Want(201).Decode(&made)
	return made.ID
}

// staleToken makes a service token of P1 that nobody calls with.
func staleToken(w *world, _ string) string {
	var made api.ServiceToken
	w.callers["owner"].Call("POST", "/projects/"+w.p1.slug+"/tokens/", map[string]any{
		"name": "stale", "environments": []string{"staging"}, "access": "read",
	}).Want(201).Decode(&made)
	return made.ID
}

func name(r rest.Route) string { return r.Method + " " + r.Path }

// request fills the path of a route and gives its body.
func (w *world) request(r rest.Route, caller, environment string) (path string, body any) {
	w.t.Helper()
	e := examples[name(r)]
	id := ""
	if e.id != nil {
		id = e.id(w, caller)
	}
	if e.body != nil {
		body = e.body(w)
	}
	return strings.NewReplacer(
		"{project}", w.p1.slug, "{environment}", environment, "{key}", "API_KEY", "{id}", id,
	).Replace(r.Path), body
}

func TestEveryRouteHasAnExample(t *testing.T) {
	known := map[string]bool{}
	for _, r := range rest.Routes() {
		e, ok := examples[name(r)]
		known[name(r)] = true
		switch {
		case !ok:
			t.Errorf("%s has no example: add one to the table, then every matrix covers it", name(r))
		case strings.Contains(r.Path, "{id}") != (e.id != nil):
			t.Errorf("%s: {id} and the example's id do not agree", name(r))
		}
	}
	for n := range examples {
		if !known[n] {
			t.Errorf("%s has an example but is no route", n)
		}
	}
}
