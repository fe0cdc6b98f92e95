//go:build unix

package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

func TestProjectIsCreatedOnce(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		page := open(t, owner, "/projects/")
		page.Has(t, "No projects yet")
		form := page.Form(t, "/projects/")
		for range 2 {
			if made := form.Submit(t, url.Values{"name": {"Web shop"}}); !strings.HasPrefix(made.Path, "/projects/web-shop/") {
				t.Errorf("it goes on at %s: %s", made.Path, made.Text())
			}
		}
		if n := s.Count("projects", "slug = 'web-shop'"); n != 1 {
			t.Errorf("%d projects", n)
		}
		empty := form.Submit(t, url.Values{"name": {""}, "description": {"kept"}})
		empty.Want(http.StatusBadRequest)
		empty.Has(t, "Must not be empty.")
		if kept := empty.Form(t, "/projects/").Values().Get("description"); kept != "kept" {
			t.Errorf("the form has kept %q", kept)
		}
		taken := open(t, owner, "/projects/").Form(t, "/projects/").Submit(t, url.Values{"name": {"Another"}, "slug": {"web-shop"}})
		taken.Want(http.StatusConflict)
		taken.Has(t, "The project slug web-shop is taken.")
	})
}

// TestProjectsSayWhatOneSees has somebody with a narrowed view count less than the owner.
func TestProjectsSayWhatOneSees(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.owner.Call("POST", "/projects/web/environments/production/secrets/bulk/", map[string]any{"set": map[string]string{"A": "1", "B": "2"}}).Want(http.StatusOK)
		w.owner.Call("PUT", "/projects/web/environments/staging/secrets/A/", map[string]any{"value": "1"}).Want(http.StatusCreated)
		w.owner.Call("PATCH", "/projects/web/members/"+w.viewer.UserID+"/", map[string]any{"environments": map[string]any{"production": "none"}}).Want(http.StatusOK)
		open(t, w.owner, "/projects/").Has(t, "Web owner", "3 environments · 3 secrets")
		open(t, w.viewer, "/projects/").Has(t, "Web viewer", "2 environments · 1 secret")
		w.AddUser("eve@example.com")
		open(t, w.Login("eve@example.com"), "/projects/").Has(t, "No projects yet").Lacks(t, "Web")
	})
}

func TestManyProjects(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	for i := range 205 {
		owner.Call("POST", "/projects/", map[string]any{"name": fmt.Sprintf("Project %03d", i)}).Want(http.StatusCreated)
	}
	page := open(t, owner, "/projects/")
	page.Has(t, "Project 000", "Project 199").Lacks(t, "Project 200")
	if len(page.All("input", "type", "search")) != 1 {
		t.Error("there is no filter")
	}
	open(t, owner, "/projects/?after=project-199").Has(t, "Project 200", "Project 204").Lacks(t, "Project 199")
	for _, evil := range injections() {
		visit(t, owner, "/projects/?after="+url.QueryEscape(evil)).IsTame(t)
	}
}

func TestProjectsShowTextAsText(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	for i, evil := range injections() {
		form := open(t, owner, "/projects/").Form(t, "/projects/")
		form.Submit(t, url.Values{"name": {evil}, "slug": {fmt.Sprint("p", i)}, "description": {evil}}).IsTame(t)
		open(t, owner, "/projects/").Has(t, strings.Join(strings.Fields(evil), " ")).IsTame(t)
		bad := form.Submit(t, url.Values{"name": {evil}, "slug": {evil}})
		bad.Want(http.StatusBadRequest)
		if kept := bad.IsTame(t).Form(t, "/projects/").Values(); kept.Get("slug") != evil || kept.Get("name") != evil {
			t.Errorf("of %q the form has kept %q", evil, kept)
		}
	}
}
