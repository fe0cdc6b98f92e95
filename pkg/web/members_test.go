//go:build unix

package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/session"
)

// team is a project "web" with somebody of every role.
type team struct {
	*heartlocktest.Server
	project api.Project
	owner   *heartlocktest.Caller // Olga, the only owner
	admin   *heartlocktest.Caller // adam@example.com
	member  *heartlocktest.Caller // mia@example.com
	viewer  *heartlocktest.Caller // vera@example.com
}

func newTeam(t *testing.T, databaseURL string) *team {
	t.Helper()
	w := &team{Server: heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: databaseURL})}
	w.owner = w.Onboard()
	w.owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated).Decode(&w.project)
	w.admin = w.join("adam@example.com", api.RoleAdmin)
	w.member = w.join("mia@example.com", api.RoleMember)
	w.viewer = w.join("vera@example.com", api.RoleViewer)
	return w
}

func (w *team) join(email string, role api.Role) *heartlocktest.Caller {
	w.AddMember(w.project.ID, w.AddUser(email), role)
	return w.Login(email)
}

// everybody are the members by their roles.
func (w *team) everybody() map[string]*heartlocktest.Caller {
	return map[string]*heartlocktest.Caller{"owner": w.owner, "admin": w.admin, "member": w.member, "viewer": w.viewer}
}

// roleOf is what somebody is now, or "".
func (w *team) roleOf(t *testing.T, who *heartlocktest.Caller) string {
	t.Helper()
	var list api.Page[api.Member]
	w.owner.Call("GET", "/projects/web/members/", nil).Want(http.StatusOK).Decode(&list)
	for _, m := range list.Results {
		if m.ID == who.UserID {
			return string(m.Role)
		}
	}
	return ""
}

const people = "/projects/web/members/"

// TestPeopleOfferWhatRankAllows compares what the page offers to each role with what the
// server does when it is asked for everything.
func TestPeopleOfferWhatRankAllows(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	second := w.join("otto@example.com", api.RoleAdmin)
	for role, c := range w.everybody() {
		page := open(t, c, people)
		for _, target := range []*heartlocktest.Caller{w.owner, w.admin, w.member, w.viewer, second} {
			self := target == c
			may := role == "owner" || role == "admin" && (self || target == w.member || target == w.viewer)
			if offered := page.Offers(people + target.UserID + "/"); offered != may {
				t.Errorf("%s is offered to change %s: %v", role, target.Name, offered)
			}
			if offered := page.Offers(people + target.UserID + "/remove/"); offered != (may && !self) {
				t.Errorf("%s is offered to remove %s: %v", role, target.Name, offered)
			}
			if may {
				continue
			}
			for path, values := range map[string]url.Values{"": {"role": {"viewer"}}, "remove/": {}} {
				before := w.State()
				if path == "remove/" && self {
					continue // leaving is everybody's right
				}
				if answer := post(t, c, people+target.UserID+"/"+path, values); answer.Status != http.StatusForbidden {
					t.Errorf("%s posts %s for %s: %d", role, path, target.Name, answer.Status)
				}
				if w.State() != before {
					t.Errorf("%s has changed something by %s for %s", role, path, target.Name)
				}
			}
		}
		if leave := page.Offers(people + "leave/"); leave != (role != "owner") {
			t.Errorf("%s is offered to leave: %v", role, leave)
		}
		if inviting := page.Offers("/projects/web/invitations/"); inviting != (role == "owner" || role == "admin") {
			t.Errorf("%s is offered to invite: %v", role, inviting)
		}
	}
	form := open(t, w.admin, people).Form(t, people+w.member.UserID+"/")
	if values := selectValues(form, "role"); !slices.Equal(values, []string{"viewer", "member", "admin"}) {
		t.Errorf("an admin is offered to give %q", values)
	}
	page := post(t, w.admin, people+w.member.UserID+"/", url.Values{"role": {"owner"}})
	if page.Status != http.StatusForbidden || w.roleOf(t, w.member) != "member" {
		t.Errorf("an admin makes an owner: %d", page.Status)
	}
	page.Has(t, "you may not make anybody owner")
}

func selectValues(f *sheet, name string) (values []string) {
	for _, field := range f.fields {
		if n, _ := attribute(field, "name"); n == name {
			for _, option := range all(field, "option") {
				values = append(values, optionValue(option))
			}
		}
	}
	return values
}

func TestMemberIsChangedAndNarrowed(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		path := people + w.member.UserID + "/"
		open(t, w.owner, people).Form(t, path).Submit(t, url.Values{"role": {"viewer"}, "limit-production": {"none"}, "limit-staging": {"read"}}).
			Has(t, "Saved.", "Production: no access", "Staging: read only")
		w.member.Call("GET", "/projects/web/environments/production/secrets/", nil).Want(http.StatusNotFound)
		if role := w.roleOf(t, w.member); role != "viewer" {
			t.Errorf("he is %s", role)
		}
		// Production does not exist for who is kept out of it.
		open(t, w.member, people).Lacks(t, "Production")
		// An unchanged form changes nothing, and a higher role ends what was narrowed.
		form := open(t, w.owner, people).Form(t, path)
		form.Submit(t, nil).Has(t, "Production: no access")
		form.Submit(t, url.Values{"role": {"admin"}}).Lacks(t, "no access")
		if role := w.roleOf(t, w.member); role != "admin" {
			t.Errorf("he is %s", role)
		}
		page := post(t, w.owner, path, url.Values{"role": {"viewer"}, "limit-moon": {"none"}})
		if page.Status != http.StatusBadRequest {
			t.Errorf("another environment: %d", page.Status)
		}
		page.Has(t, "name environments of this project")
	})
}

func TestMemberIsRemovedWithOrWithoutHisTokens(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for i, choice := range []struct {
		value string
		left  int
	}{{"revoke", 0}, {"keep", 1}} {
		name := []string{"rita", "karl"}[i]
		maker := w.join(name+"@example.com", api.RoleAdmin)
		maker.Call("POST", "/projects/web/tokens/", map[string]any{"name": name, "environments": []string{"staging"}, "access": "read"}).Want(http.StatusCreated)
		page := open(t, w.owner, people)
		page.Has(t, name+"@example.com made 1 service token")
		page.Form(t, people+maker.UserID+"/remove/").Submit(t, url.Values{"tokens": {choice.value}}).
			Has(t, "Removed from this project.").Lacks(t, name+"@example.com")
		if n := w.Count("tokens", "name = '"+name+"'"); n != choice.left {
			t.Errorf("%s leaves %d tokens", choice.value, n)
		}
		// He who was removed meanwhile is gone, and that is all that was wanted.
		post(t, w.owner, people+maker.UserID+"/remove/", nil).Want(http.StatusOK)
	}
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	page := open(t, w.viewer, people).Form(t, people+"leave/").Submit(t, nil)
	page.Has(t, "You have left the project.")
	if page.Path != "/projects/" || w.roleOf(t, w.viewer) != "" {
		t.Errorf("at %s, %q", page.Path, w.roleOf(t, w.viewer))
	}
	open(t, w.owner, people).Has(t, "You are the last owner of this project.")
	last := post(t, w.owner, people+"leave/", nil)
	if last.Status != http.StatusConflict || w.roleOf(t, w.owner) != "owner" {
		t.Errorf("the last owner: %d", last.Status)
	}
	last.Has(t, "Make somebody else an owner first")
	// An admin may take his own rights away, and is told that it was he.
	open(t, w.admin, people).Form(t, people+w.admin.UserID+"/").Submit(t, url.Values{"role": {"member"}})
	if role := w.roleOf(t, w.admin); role != "member" {
		t.Errorf("he is %s", role)
	}
}

// TestLargeTeam has so many people that each has a page of his own.
func TestLargeTeam(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for i := range 10 {
		w.AddMember(w.project.ID, w.AddUser(fmt.Sprintf("person%d@example.com", i)), api.RoleMember)
	}
	list := open(t, w.admin, people)
	list.Has(t, "14 people", "person9@example.com")
	mine := people + w.member.UserID + "/"
	if list.Offers(mine) || len(list.All("a", "href", mine+"#member-"+w.member.UserID)) != 1 {
		t.Error("the list does not lead to the page of a member")
	}
	page := open(t, w.admin, mine)
	if page.Offers(people + w.viewer.UserID + "/") {
		t.Error("the page of a member has the form of another")
	}
	page.Form(t, mine).Submit(t, url.Values{"role": {"viewer"}}).Has(t, "Saved.")
	if role := w.roleOf(t, w.member); role != "viewer" {
		t.Errorf("he is %s", role)
	}
	page.Form(t, mine+"remove/").Submit(t, nil).Has(t, "13 people")
	if gone := visit(t, w.admin, mine); gone.Status != http.StatusNotFound {
		t.Errorf("the page of who is gone: %d", gone.Status)
	}
	if refused := post(t, w.viewer, people+w.admin.UserID+"/", url.Values{"role": {"viewer"}}); refused.Status != http.StatusForbidden {
		t.Errorf("a viewer: %d", refused.Status)
	}
}

// TestForeignProjectIsNoProject compares the pages of a project of others with those of
// one that does not exist.
func TestForeignProjectIsNoProject(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.AddUser("eve@example.com")
	eve := w.Login("eve@example.com")
	for _, part := range []string{"members/", "settings/", "tokens/", "audit/"} {
		foreign, none := visit(t, eve, "/projects/web/"+part), visit(t, eve, "/projects/nowhere/"+part)
		if foreign.Status != http.StatusNotFound || canonical(foreign) != canonical(none) {
			t.Errorf("%s: %d\n%s\n%s", part, foreign.Status, canonical(foreign), canonical(none))
		}
	}
	for _, path := range []string{"members/leave/", "members/" + w.viewer.UserID + "/remove/", "invitations/", "tokens/new/", "settings/", "settings/delete/"} {
		before := w.State()
		values := url.Values{"name": {"x"}, "email": {"x@example.com"}, "role": {"viewer"}, "environments": {"staging"}, "access": {"read"}, "confirm": {"web"}, "expires": {"30"}}
		foreign, none := post(t, eve, "/projects/web/"+path, values), post(t, eve, "/projects/nowhere/"+path, values)
		if foreign.Status != http.StatusNotFound || canonical(foreign) != canonical(none) {
			t.Errorf("POST %s: %d %d\n%s", path, foreign.Status, none.Status, foreign.Text())
		}
		if w.State() != before {
			t.Errorf("POST %s has changed something", path)
		}
	}
}

// canonical is a page without what differs in any two answers.
func canonical(d *document) string {
	text := d.Answer.Canonical()
	for _, code := range d.All("code") {
		text = strings.ReplaceAll(text, textOf(code), "")
	}
	for _, token := range d.All("input", "name", session.CSRFField) { // under a mask of its own
		value, _ := attribute(token, "value")
		text = strings.ReplaceAll(text, value, "")
	}
	return text
}

func TestPeopleShowTextAsText(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for _, evil := range injections() {
		w.viewer.Call("PATCH", "/auth/me/", map[string]any{"first_name": evil}).Want(http.StatusOK)
		open(t, w.owner, people).Has(t, strings.Join(strings.Fields(evil), " ")).IsTame(t)
		for _, values := range []url.Values{{"role": {evil}}, {"role": {"viewer"}, "limit-staging": {evil}}, {"role": {"viewer"}, "limit-" + evil: {"none"}}} {
			if page := post(t, w.owner, people+w.viewer.UserID+"/", values); page.Status != http.StatusBadRequest {
				t.Errorf("%q: %d", values, page.Status)
			} else {
				page.IsTame(t)
			}
		}
	}
}
