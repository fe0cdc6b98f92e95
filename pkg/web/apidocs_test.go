package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
)

// TestEveryOperationIsDocumentedForPeople: the page has all that the API has, for
// people who are not signed in too, and every link in it leads somewhere.
func TestEveryOperationIsDocumentedForPeople(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	s.Onboard()
	page := s.Anonymous().Do("GET", "/api/docs/", nil).Want(http.StatusOK)
	for _, r := range rest.Routes() {
		entry := `>` + r.Method + `</span> <code>` + r.Path + `</code>`
		if !strings.Contains(page.Body, entry) {
			t.Errorf("%s %s is not on the page", r.Method, r.Path)
		}
	}
	for _, part := range strings.Split(page.Body, `href="#`)[1:] {
		target, _, _ := strings.Cut(part, `"`)
		if !strings.Contains(page.Body, ` id="`+target+`"`) {
			t.Errorf("a link leads to #%s, which is not there", target)
		}
	}
	if !strings.Contains(page.Body, api.Prefix+"/openapi.json") {
		t.Error("the document is not linked")
	}
	zipped := s.Anonymous().Do("GET", "/api/docs/", nil, "Accept-Encoding: gzip").Want(http.StatusOK)
	if zipped.Header.Get("Content-Encoding") != "gzip" || len(zipped.Body) > 40<<10 {
		t.Errorf("%d bytes, %q", len(zipped.Body), zipped.Header.Get("Content-Encoding"))
	}
}
