package rest_test

import (
	"path"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
)

// example is a request to a route that succeeds for whoever may make it.
type example struct {
	// id finds what {id}, {user} or {token} stands for, as something of the caller's own or of P1.
	id func(w *world, caller string) string
	// body of the request, if the route takes one.
	body func(w *world) any
	// bodyAs takes the place of body where it depends on the caller.
	bodyAs func(w *world, caller string) any
	// bodyIn does where it also depends on the environment.
	bodyIn func(caller, environment string) any
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
	"POST /auth/password-reset/":         {body: fixedBody(map[string]any{"email": "viewer@example.com"})},
	"POST /auth/password-reset/confirm/": {body: confirmedReset},
	"GET /auth/second-factor/":           {},
	"POST /auth/second-factor/":          {body: fixedBody(map[string]any{"password": heartlocktest.Password})},
	// These change a factor that is there; the tests of the second factor have one.
	"POST /auth/second-factor/confirm/":        {status: 409, body: withoutFactors(map[string]any{"code": "123456"})},
	"POST /auth/second-factor/recovery-codes/": {status: 409, body: withoutFactors(map[string]any{"password": heartlocktest.Password, "code": "123456"})},
	"POST /auth/second-factor/disable/":        {status: 409, body: withoutFactors(map[string]any{"password": heartlocktest.Password, "code": "123456"})},
	"GET /auth/sessions/":                      {},
	"DELETE /auth/sessions/{id}/":              {id: ownSession},
	"GET /auth/tokens/":                        {},
	"POST /auth/tokens/":                       {body: fixedBody(map[string]any{"name": "laptop"})},
	"DELETE /auth/tokens/{id}/":                {id: ownToken},

	"POST /auth/device/":    {body: fixedBody(map[string]any{"machine": "laptop"})},
	"POST /auth/cli-token/": {body: grantedCode},

	"GET /auth/identities/": {},
	"POST /auth/identities/": {status: 404, body: fixedBody(map[string]any{ // the server has no identity provider
		"current_password": heartlocktest.Password,
	})},
	"DELETE /auth/identities/{id}/": {id: noIdentity, status: 404},

	"GET /admin/status/": {},

	"GET /admin/mail/":       {},
	"POST /admin/mail/test/": {body: fixedBody(map[string]any{"to": "owner@example.com"})},

	"GET /admin/oidc/":       {},
	"PUT /admin/oidc/":       {body: fixedBody(map[string]any{"scopes": "openid email"})},
	"DELETE /admin/oidc/":    {},
	"POST /admin/oidc/test/": {body: fixedBody(map[string]any{"enable": true})},

	"GET /admin/users/": {},
	"POST /admin/users/": {body: func(w *world) any {
		return map[string]any{"email": w.fresh("new") + "@example.com", "first_name": "Nora", "is_superuser": false, "password": heartlocktest.Password}
	}},
	"GET /admin/users/{id}/":                  {id: somebody},
	"PATCH /admin/users/{id}/":                {id: somebody, body: fixedBody(map[string]any{"first_name": "Sam", "is_superuser": false})},
	"POST /admin/users/{id}/reset-password/":  {id: somebody},
	"POST /admin/users/{id}/end-sessions/":    {id: somebody},
	"DELETE /admin/users/{id}/second-factor/": {id: somebodyWithFactor},
	"GET /admin/projects/":                    {},
	"POST /admin/projects/{project}/join/":    {status: 409, body: fixedBody(map[string]any{"role": "owner"})}, // the only administrator owns P1

	"GET /projects/":                          {},
	"POST /projects/":                         {body: func(w *world) any { return map[string]any{"name": "Fresh", "slug": w.fresh("fresh")} }},
	"GET /projects/{project}/":                {},
	"PATCH /projects/{project}/":              {body: fixedBody(map[string]any{"description": "changed"})},
	"DELETE /projects/{project}/":             {},
	"GET /projects/{project}/environments/":   {},
	"POST /projects/{project}/environments/":  {body: fixedBody(map[string]any{"name": "Preview"})},
	"GET /projects/{project}/audit/":          {},
	"GET /admin/audit/":                       {},
	"GET /projects/{project}/members/":        {},
	"PATCH " + member:                         {id: formerMember, body: fixedBody(map[string]any{"role": "member"})},
	"DELETE " + member:                        {id: formerMember},
	"GET /projects/{project}/tokens/":         {},
	"POST /projects/{project}/tokens/":        {body: fixedBody(map[string]any{"name": "ci", "environments": []string{"staging"}, "access": "read"})},
	"DELETE /projects/{project}/tokens/{id}/": {id: staleToken},

	"GET " + invitations: {},
	"POST " + invitations: {body: func(w *world) any {
		return map[string]any{"email": w.fresh("guest") + "@example.com", "role": "viewer"}
	}},
	"DELETE " + invitations + "{id}/":      {id: pendingInvitation},
	"POST " + invitations + "{id}/resend/": {id: pendingInvitation},
	"GET /invitations/{token}/":            {id: linkFor},
	"POST /invitations/{token}/accept/": {
		id:     linkFor,
		body:   fixedBody(map[string]any{"password": heartlocktest.Password, "first_name": "Gus", "last_name": "Guest"}),
		bodyAs: acceptAs, endsSessions: true,
	},
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

	"GET /projects/{project}/matrix/":         {},
	"GET " + environment + "compare/{other}/": {},
	"POST " + environment + "promote/":        {body: fixedBody(map[string]any{"from": "staging"}), bodyIn: promotedFrom},
	"GET " + environment + "export/":          {},
	"POST " + environment + "import/":         {body: fixedBody(map[string]any{"text": "NEW_KEY=x", "dry_run": false})},
}

// promotedFrom copies from another environment that the caller can read.
func promotedFrom(caller, environment string) any {
	from := "production"
	switch {
	case environment == "production":
		from = "development"
	case caller == "limited":
		from = "staging"
	}
	return map[string]any{"from": from, "dry_run": false}
}

const (
	environment = "/projects/{project}/environments/{environment}/"
	member      = "/projects/{project}/members/{user}/"
	invitations = "/projects/{project}/invitations/"
)

// noIdentity is nobody's: identities come from a provider only.
func noIdentity(*world, string) string { return strings.Repeat("0", 32) }

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

// formerMember makes a viewer of P1 that nobody calls as.
func formerMember(w *world, _ string) string {
	id := w.s.AddUser(w.fresh("former") + "@example.com")
	w.s.AddMember(w.p1.id, id, api.RoleViewer)
	return id
}

// invite invites an address to a project, and takes the invitation back by two
// days, so that no bound is near. It returns the id and the token of the link.
func (w *world) invite(inviter, project, email string) (id, token string) {
	w.t.Helper()
	var made api.Invitation
	w.callers[inviter].Call("POST", "/projects/"+project+"/invitations/", map[string]any{"email": email, "role": "viewer"}).Want(201).Decode(&made)
	w.s.Exec("UPDATE invitations SET sent_at = sent_at - 172800000000 WHERE id = '" + made.ID + "'")
	return made.ID, linkToken(w.t, made)
}

// linkToken is the last part of the link in an answer.
func linkToken(t *testing.T, i api.Invitation) string {
	t.Helper()
	if i.Link == nil {
		t.Fatal("the answer has no link")
	}
	return path.Base(i.Link.Reveal())
}

// pendingInvitation is one of P1.
func pendingInvitation(w *world, _ string) string {
	id, _ := w.invite("owner", w.p1.slug, w.fresh("pending")+"@example.com")
	return id
}

// linkFor is the token of a link to a project that the caller is no member of,
// for his address.
func linkFor(w *world, caller string) string {
	inviter, email := "owner", w.fresh("stranger")+"@example.com"
	if c := w.callers[caller]; c.UserID != "" && c.Bearer == "" {
		email = caller + "@example.com"
	}
	if caller == inviter {
		inviter = "outsider"
	}
	_, token := w.invite(inviter, w.newProject(inviter, w.fresh("inviting")).slug, email)
	return token
}

// acceptAs is a password for who has no account, and nothing for the others.
func acceptAs(w *world, caller string) any {
	if caller == "anonymous" {
		return map[string]any{"password": heartlocktest.Password}
	}
	return map[string]any{}
}

// somebody makes an account that nobody calls with.
func somebody(w *world, _ string) string {
	return w.s.AddUser(w.fresh("somebody") + "@example.com")
}

// somebodyWithFactor makes one with a second factor.
func somebodyWithFactor(w *world, caller string) string {
	id := somebody(w, caller)
	w.s.Exec("INSERT INTO second_factors (user_id, sealed, key_fingerprint, created_at, confirmed_at, last_step) VALUES ('" + id + "', 'x', 'x', 1, 1, 0)")
	return id
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
	if e.bodyAs != nil {
		body = e.bodyAs(w, caller)
	}
	if e.bodyIn != nil {
		body = e.bodyIn(caller, environment)
	}
	return strings.NewReplacer(
		"{project}", w.p1.slug, "{environment}", environment, "{other}", "development", "{key}", "API_KEY", "{id}", id, "{user}", id, "{token}", id,
	).Replace(r.Path), body
}

// hasID reports whether a route names something by its id or token alone.
func hasID(r rest.Route) bool {
	return strings.Contains(r.Path, "{id}") || strings.Contains(r.Path, "{user}") || strings.Contains(r.Path, "{token}")
}

func TestEveryRouteHasAnExample(t *testing.T) {
	known := map[string]bool{}
	for _, r := range rest.Routes() {
		e, ok := examples[name(r)]
		known[name(r)] = true
		switch {
		case !ok:
			t.Errorf("%s has no example: add one to the table, then every matrix covers it", name(r))
		case hasID(r) != (e.id != nil):
			t.Errorf("%s: {id}, {user} or {token} and the example's id do not agree", name(r))
		}
	}
	for n := range examples {
		if !known[n] {
			t.Errorf("%s has an example but is no route", n)
		}
	}
}
