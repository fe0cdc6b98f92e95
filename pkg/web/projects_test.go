//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

func TestProjectIsCreatedOnce(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	form := open(t, owner, "/projects/").Form(t, "/projects/")
	for range 2 {
		form.Submit(t, url.Values{"name": {"Web shop"}})
	}
	if n := s.Count("projects", "slug = 'web-shop'"); n != 1 {
		t.Errorf("%d projects", n)
	}
	page := form.Submit(t, url.Values{"name": {""}})
	if page.Status != http.StatusBadRequest {
		t.Errorf("no name: %d", page.Status)
	}
	page.Has(t, "Must not be empty.")
}
