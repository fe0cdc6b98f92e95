//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const settings = "/projects/web/settings/"

func environmentForm(slug string) string { return settings + "environments/" + slug + "/" }

// slugs are the environments in their order.
func (w *team) slugs(t *testing.T) string {
	t.Helper()
	var list api.Page[api.Environment]
	w.owner.Call("GET", "/projects/"+w.project.ID+"/environments/", nil).Want(http.StatusOK).Decode(&list)
	var slugs []string
	for _, e := range list.Results {
		slugs = append(slugs, e.Slug)
	}
	return strings.Join(slugs, " ")
}

func TestProjectSettings(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		form := open(t, w.admin, settings).Form(t, settings)
		page := form.Submit(t, url.Values{"name": {"Web shop"}, "slug": {"web"}, "description": {"two\r\nlines"}})
		page.Has(t, "The project is saved.")
		if w.Count("projects", "name = 'Web shop' AND description = 'two\nlines'") != 1 {
			t.Error("it is not saved")
		}
		if kept := page.Form(t, settings).Values().Get("description"); kept != "two\nlines" {
			t.Errorf("the form shows %q", kept)
		}
		moved := form.Submit(t, url.Values{"slug": {"shop"}})
		if moved.Path != "/projects/shop/settings/" {
			t.Errorf("it goes on at %s", moved.Path)
		}
		bad := moved.Form(t, "/projects/shop/settings/").Submit(t, url.Values{"slug": {"Not A Slug"}, "name": {"Kept"}})
		bad.Want(http.StatusBadRequest)
		bad.Has(t, "Must be 1 to 63 lower-case letters")
		if kept := bad.Form(t, "/projects/shop/settings/").Values(); kept.Get("slug") != "Not A Slug" || kept.Get("name") != "Kept" {
			t.Errorf("the form has kept %q", kept)
		}
		if other := bad.Form(t, "/projects/shop/settings/environments/").Values(); other.Get("slug") != "" {
			t.Errorf("another form shows %q", other.Get("slug"))
		}
	})
}

func TestEnvironmentSettings(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		form := open(t, w.member, settings).Form(t, settings+"environments/")
		for range 2 { // sent twice, one is made
			form.Submit(t, url.Values{"name": {"Preview"}}).Has(t, "The environment is there.")
		}
		if slugs := w.slugs(t); slugs != "development staging production preview" {
			t.Errorf("there are %s", slugs)
		}
		taken := open(t, w.member, settings).Form(t, settings+"environments/").Submit(t, url.Values{"name": {"Staging"}})
		taken.Want(http.StatusConflict)
		taken.Has(t, "The environment slug staging is taken.")

		moving := environmentForm("preview") + "move/"
		open(t, w.member, settings).Form(t, moving).Submit(t, nil).Has(t, "The order is changed")
		if slugs := w.slugs(t); slugs != "development staging preview production" {
			t.Errorf("after up: %s", slugs)
		}
		post(t, w.member, moving, url.Values{"direction": {"down"}}).Want(http.StatusOK)
		post(t, w.member, moving, url.Values{"direction": {"down"}}).Want(http.StatusOK)
		if slugs := w.slugs(t); slugs != "development staging production preview" {
			t.Errorf("after down: %s", slugs)
		}

		open(t, w.admin, settings).Form(t, environmentForm("production")).
			Submit(t, url.Values{"name": {"Live"}, "slug": {"live"}, "protected": {"yes", "no"}}).Has(t, "The environment is saved.", "Live", "protected")
		open(t, w.admin, settings).Form(t, environmentForm("live")).Submit(t, nil).Has(t, "Live", "protected")
		if open(t, w.member, settings).Offers(environmentForm("live")) {
			t.Error("a member is offered to change a protected environment")
		}
		for _, path := range []string{"", "move/", "delete/"} {
			page := post(t, w.member, environmentForm("live")+path, url.Values{"name": {"x"}, "slug": {"x"}, "direction": {"up"}, "confirm": {"live"}})
			if page.Status != http.StatusForbidden {
				t.Errorf("a member posts %s: %d", path, page.Status)
			}
		}
		if page := post(t, w.member, environmentForm("preview"), url.Values{"name": {"Preview"}, "slug": {"preview"}, "protected": {"yes"}}); page.Status != http.StatusForbidden {
			t.Errorf("a member protects: %d", page.Status)
		}
		open(t, w.admin, settings).Form(t, environmentForm("live")).Submit(t, url.Values{"protected": {"no"}}).Lacks(t, "Live live protected")
	})
}

func TestEnvironmentIsDeletedByItsTypedName(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.owner.Call("PUT", "/projects/web/environments/staging/secrets/API_KEY/", map[string]any{"value": "x"}).Want(http.StatusCreated)
	page := open(t, w.member, settings)
	page.Has(t, "Its 1 secret and their history are lost.")
	form := page.Form(t, environmentForm("staging")+"delete/")
	for _, typed := range []string{"", "Staging", "production"} {
		refused := form.Submit(t, url.Values{"confirm": {typed}})
		refused.Want(http.StatusBadRequest)
		refused.Has(t, "Nothing was deleted.")
	}
	form.Submit(t, url.Values{"confirm": {"staging"}}).Has(t, "The environment is deleted")
	if slugs := w.slugs(t); slugs != "development production" {
		t.Errorf("there are %s", slugs)
	}
	post(t, w.member, environmentForm("staging")+"delete/", url.Values{"confirm": {"staging"}}).Want(http.StatusNotFound)
}

func TestProjectIsDeletedByItsTypedName(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.owner.Call("PUT", "/projects/web/environments/staging/secrets/API_KEY/", map[string]any{"value": "x"}).Want(http.StatusCreated)
	page := open(t, w.owner, settings)
	page.Has(t, "1 secret in 3 environments are lost for everybody")
	form := page.Form(t, settings+"delete/")
	refused := form.Submit(t, url.Values{"confirm": {"Web"}})
	refused.Want(http.StatusBadRequest)
	refused.Has(t, "Nothing was deleted.")
	if page := post(t, w.admin, settings+"delete/", url.Values{"confirm": {"web"}}); page.Status != http.StatusForbidden {
		t.Errorf("an admin deletes the project: %d", page.Status)
	}
	gone := form.Submit(t, url.Values{"confirm": {"web"}})
	gone.Has(t, "The project is deleted")
	if gone.Path != "/projects/" || w.Count("projects", "1 = 1") != 0 {
		t.Errorf("at %s", gone.Path)
	}
}

// TestSettingsOfferWhatRolesAllow holds the forms of the page against the roles.
func TestSettingsOfferWhatRolesAllow(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.owner.Call("PATCH", "/projects/web/environments/production/", map[string]any{"protected": true}).Want(http.StatusOK)
	w.owner.Call("PATCH", "/projects/web/members/"+w.member.UserID+"/", map[string]any{"environments": map[string]any{"staging": "read", "development": "none"}}).Want(http.StatusOK)
	leave := people + "leave/"
	want := map[string][]string{"viewer": {leave}, "member": {settings + "environments/", leave}}
	everything := []string{settings, settings + "environments/", leave}
	for _, slug := range []string{"development", "staging", "production"} {
		form := environmentForm(slug)
		everything = append(everything, form, form+"move/", form+"delete/")
	}
	want["admin"] = everything
	want["owner"] = append([]string{settings + "delete/"}, slices.DeleteFunc(slices.Clone(everything), func(s string) bool { return s == leave })...)
	for role, c := range w.everybody() {
		page := open(t, c, settings)
		slices.Sort(want[role])
		if got := page.Actions(); !slices.Equal(got, want[role]) {
			t.Errorf("%s is offered\n%q, want\n%q", role, got, want[role])
		}
	}
	open(t, w.member, settings).Lacks(t, "Development")
	for role, c := range w.everybody() {
		for _, path := range want["owner"] {
			if slices.Contains(want[role], path) {
				continue
			}
			before := w.State()
			confirm := "web"
			if _, below, of := strings.Cut(path, "/environments/"); of {
				confirm, _, _ = strings.Cut(below, "/")
			}
			page := post(t, c, path, url.Values{"name": {"x"}, "slug": {"x"}, "direction": {"up"}, "confirm": {confirm}})
			status := http.StatusForbidden
			if confirm == "development" && role == "member" {
				status = http.StatusNotFound // it does not exist for him
			}
			if page.Status != status {
				t.Errorf("%s posts to %s: %d", role, path, page.Status)
			}
			if w.State() != before {
				t.Errorf("%s has changed something by %s", role, path)
			}
		}
	}
}

func TestSettingsShowTextAsText(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for _, evil := range injections() {
		page := open(t, w.owner, settings).Form(t, settings).Submit(t, url.Values{"name": {evil}, "description": {evil}})
		page.Want(http.StatusOK)
		kept := page.IsTame(t).Form(t, settings).Values()
		if kept.Get("name") != evil || kept.Get("description") != evil {
			t.Errorf("of %q the form shows %q", evil, kept)
		}
		open(t, w.viewer, settings).Has(t, strings.Join(strings.Fields(evil), " ")).IsTame(t)
		page = open(t, w.owner, settings).Form(t, environmentForm("staging")).Submit(t, url.Values{"name": {evil}})
		if shown := page.IsTame(t).Form(t, environmentForm("staging")).Values().Get("name"); shown != evil {
			t.Errorf("of %q the form shows %q", evil, shown)
		}
		bad := page.Form(t, settings+"environments/").Submit(t, url.Values{"name": {evil}, "slug": {evil}})
		bad.Want(http.StatusBadRequest)
		if shown := bad.IsTame(t).Form(t, settings+"environments/").Values().Get("slug"); shown != evil {
			t.Errorf("of %q the form shows %q", evil, shown)
		}
		bad = page.Form(t, settings+"delete/").Submit(t, url.Values{"confirm": {evil}})
		bad.Want(http.StatusBadRequest)
		bad.IsTame(t)
	}
}
