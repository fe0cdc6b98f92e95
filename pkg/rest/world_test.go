package rest_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// world is two projects with everybody who may or may not touch them. The
// callers: owner, admin, member and viewer of P1; limited, a member of P1 from whom
// production is withheld and who may only read staging; an outsider, who owns P2; one
// without credentials; a personal token of the owner; service tokens of P1's
// development (read, write) and of P2.
type world struct {
	t       *testing.T
	s       *heartlocktest.Server
	p1, p2  project
	callers map[string]*heartlocktest.Caller
	number  int    // of the names made so far
	known   string // the state of the database, if it is known; see try
}

// project is a project and the ids of what is in it.
type project struct {
	id, slug     string
	environments map[string]string // slug -> id
	tokens       map[string]api.ServiceToken
}

// callerNames is every caller, in the order of the golden file's columns.
var callerNames = []string{
	"owner", "admin", "member", "viewer", "limited", "outsider", "anonymous",
	"owner-token", "read-token", "write-token", "foreign-token",
}

// roles are the people of P1.
var roles = map[string]api.Role{
	"owner": api.RoleOwner, "admin": api.RoleAdmin, "member": api.RoleMember, "viewer": api.RoleViewer,
	"limited": api.RoleMember,
}

// newWorld fills an onboarded server.
func newWorld(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) *world {
	t.Helper()
	w := &world{t: t, s: s, callers: map[string]*heartlocktest.Caller{"anonymous": s.Anonymous()}}
	owner.Name = "owner"
	w.callers["owner"] = owner
	for _, name := range []string{"admin", "member", "viewer", "limited", "outsider"} {
		s.AddUser(name + "@example.com")
		w.signIn(name)
	}
	w.buildForeign()
	w.build()
	return w
}

// signIn makes a new session for a person.
func (w *world) signIn(name string) {
	w.t.Helper()
	c := w.s.Login(name + "@example.com")
	c.Name = name
	w.callers[name] = c
}

// build makes P1 anew, with its people, its tokens, a secret and an environment
// that is protected. What was P1 is gone.
func (w *world) build() {
	w.t.Helper()
	if former := w.p1.id; former != "" {
		w.s.Exec("DELETE FROM projects WHERE id = '" + former + "'")
		w.s.Exec("DELETE FROM tokens WHERE name IN ('own', 'stale')")
	}
	w.p1 = w.newProject("owner", w.fresh("first"))
	for name, role := range roles {
		if name != "owner" {
			w.s.AddMember(w.p1.id, w.callers[name].UserID, role)
		}
	}
	w.callers["owner"].Call("PATCH", "/projects/"+w.p1.slug+"/members/"+w.callers["limited"].UserID+"/", map[string]any{
		"environments": map[string]any{"production": "none", "staging": "read"},
	}).Want(200)
	for name, access := range map[string]string{"read-token": "read", "write-token": "write"} {
		w.newToken("owner", &w.p1, name, access, []string{"development", "production"})
	}
	var personal api.PersonalToken
	w.callers["owner"].Call("POST", "/auth/tokens/", map[string]any{"name": "own"}).Want(201).Decode(&personal)
	w.callers["owner-token"] = w.s.WithToken("owner-token", personal.Token.Reveal())
	w.callers["owner-token"].UserID = w.callers["owner"].UserID
	w.callers["owner"].Call("PATCH", "/projects/"+w.p1.slug+"/environments/production/", map[string]any{"protected": true}).Want(200)
}

// fresh is a slug that was not there before.
func (w *world) fresh(prefix string) string {
	w.number++
	return fmt.Sprintf("%s-%d", prefix, w.number)
}

// buildForeign makes P2.
func (w *world) buildForeign() {
	w.t.Helper()
	w.p2 = w.newProject("outsider", "second")
	w.newToken("outsider", &w.p2, "foreign-token", "write", []string{"development", "production"})
}

func (w *world) newProject(owner, slug string) project {
	w.t.Helper()
	c := w.callers[owner]
	var made api.Project
	c.Call("POST", "/projects/", map[string]any{"name": "Project " + slug, "slug": slug}).Want(http.StatusCreated).Decode(&made)
	p := project{id: made.ID, slug: slug, environments: map[string]string{}, tokens: map[string]api.ServiceToken{}}
	var environments api.Page[api.Environment]
	c.Call("GET", "/projects/"+slug+"/environments/", nil).Want(200).Decode(&environments)
	for _, e := range environments.Results {
		p.environments[e.Slug] = e.ID
		c.Call("PUT", "/projects/"+slug+"/environments/"+e.Slug+"/secrets/API_KEY/", map[string]any{"value": "v-" + slug}).Want(201)
	}
	return p
}

func (w *world) newToken(owner string, p *project, name, access string, environments []string) {
	w.t.Helper()
	var made api.ServiceToken
	w.callers[owner].Call("POST", "/projects/"+p.slug+"/tokens/", map[string]any{
		"name": name, "environments": environments, "access": access,
	}).Want(201).Decode(&made)
	p.tokens[name] = made
	w.callers[name] = w.s.WithToken(name, made.Token.Reveal())
}
