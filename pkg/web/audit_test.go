//go:build unix

package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

func TestAuditTellsWhatHappened(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		var project api.Project
		owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated).Decode(&project)
		s.AddMember(project.ID, s.AddUser("vera@example.com"), api.RoleViewer)
		vera := s.Login("vera@example.com")
		const secret = "/projects/web/environments/production/secrets/API_KEY/"
		owner.Call("PUT", secret, map[string]any{"value": "s3cr3t-value"}).Want(http.StatusCreated)
		vera.Call("GET", secret, nil).Want(http.StatusOK)
		vera.Call("PUT", secret, map[string]any{"value": "x"}).Want(http.StatusForbidden)

		page := open(t, owner, "/projects/web/audit/")
		page.Has(t, "vera@example.com read API_KEY in production", "owner@example.com created API_KEY in production",
			"vera@example.com tried to write API_KEY in production and was refused", "owner@example.com created the project web")
		if strings.Contains(page.Body, "s3cr3t-value") {
			t.Error("the value is on the page")
		}

		filter := page.Form(t, "/projects/web/audit/")
		filter.Get(t, url.Values{"actor": {vera.UserID}, "outcome": {"refused"}}).
			Has(t, "tried to write API_KEY").Lacks(t, "vera@example.com read", "owner@example.com created")
		filter.Get(t, url.Values{"action": {"secret.create"}, "environment": {"production"}, "target": {"API_KEY"}}).
			Has(t, "owner@example.com created API_KEY").Lacks(t, "read API_KEY", "the project web")
		filter.Get(t, url.Values{"from": {"2001-01-01"}, "to": {"2001-01-02"}}).Has(t, "No events")
		if broken := visit(t, owner, "/projects/web/audit/?from=yesterday"); broken.Status != http.StatusBadRequest {
			t.Errorf("no day: %d", broken.Status)
		}
		if refused := visit(t, vera, "/projects/web/audit/"); refused.Status != http.StatusForbidden {
			t.Errorf("a viewer: %d", refused.Status)
		}
	})
}

func TestAuditGoesOnToOlderEvents(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated)
	set := map[string]string{}
	for i := range 60 {
		set[fmt.Sprintf("KEY_%02d", i)] = "x"
	}
	owner.Call("POST", "/projects/web/environments/staging/secrets/bulk/", map[string]any{"set": set}).Want(http.StatusOK)
	seen, path := map[string]int{}, "/projects/web/audit/?action=secret.create"
	for range 2 {
		page := open(t, owner, path)
		for _, key := range page.All("code") {
			seen[textOf(key)]++
		}
		path = ""
		for _, next := range page.All("a", "rel", "next") {
			path, _ = attribute(next, "href")
		}
	}
	if len(seen) != 60 || path != "" {
		t.Errorf("saw %d keys, and then %q", len(seen), path)
	}
	for key, n := range seen {
		if n != 1 {
			t.Errorf("%s was shown %d times", key, n)
		}
	}
}

// TestAuditShowsTextAsText puts markup into everything that a trail tells of.
func TestAuditShowsTextAsText(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated)
	for _, evil := range injections() {
		owner.Call("POST", "/projects/web/tokens/", map[string]any{"name": evil, "environments": []string{"staging"}, "access": "read"}, "User-Agent: "+evil).Want(http.StatusCreated)
		page := open(t, owner, "/projects/web/audit/?action=token.create&target="+url.QueryEscape(evil))
		page.Has(t, "created the service token "+strings.Join(strings.Fields(evil), " "), "Program "+strings.Join(strings.Fields(evil), " "))
		page.IsTame(t)
	}
}
