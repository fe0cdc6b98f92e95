package web

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/session"
)

// TestEveryFailureIsAPage: whatever goes wrong is said in a page of ours, and in one
// that needs nothing of the site.
func TestEveryFailureIsAPage(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	files, err := newAssets("")
	if err != nil {
		t.Fatal(err)
	}
	shown, err := newLooks(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	site := &Site{looks: shown, assets: files, options: Options{
		Log: log, Cookies: &session.Cookies{CSRFKeys: [][]byte{[]byte("key")}}, SSO: func() *SSO { return nil },
	}}
	for _, c := range []struct {
		kind   fault.Kind
		title  string
		again  bool
		status int
	}{
		{fault.Invalid, "That did not work", false, 400},
		{fault.Forbidden, "You may not do this", false, 403},
		{fault.NotFound, "There is nothing here", false, 404},
		{fault.MethodNotAllowed, "That did not work", false, 405},
		{fault.Conflict, "Someone else was faster", false, 409},
		{fault.Gone, "This is not valid any more", false, 410},
		{fault.PreconditionFailed, "Someone else was faster", false, 412},
		{fault.TooLarge, "This is too large", false, 413},
		{fault.UnsupportedMediaType, "That did not work", false, 415},
		{fault.TooManyRequests, "Too many attempts", true, 429},
		{fault.Internal, "Something went wrong", true, 500},
		{fault.Unavailable, "This does not work at the moment", true, 503},
	} {
		failure := fault.Wrap(c.kind, io.ErrUnexpectedEOF, `A sentence with <b>marks</b>.`)
		if c.again {
			failure.RetryAfter = 90 * time.Second
		}
		for name, write := range map[string]func(http.ResponseWriter, *http.Request){
			"in the site": func(w http.ResponseWriter, r *http.Request) { site.fail(site.newVisit(w, r), failure) },
			"alone":       func(w http.ResponseWriter, r *http.Request) { WriteFailure(w, r, log, failure) },
		} {
			w := httptest.NewRecorder()
			r := session.WithConnection(httptest.NewRequest(http.MethodGet, "/some/page/?q=1", nil), session.Connection{ID: "REQUEST1"})
			write(w, r)
			body := w.Body.String()
			if w.Code != c.status || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%s %s: %d %v", c.kind, name, w.Code, w.Header())
			}
			if !strings.Contains(body, "<h1>"+c.title+"</h1>") || !strings.Contains(body, "REQUEST1") || strings.Contains(body, io.ErrUnexpectedEOF.Error()) || strings.Contains(body, "<b>marks") {
				t.Errorf("%s %s: %s", c.kind, name, body)
			}
			if said := strings.Contains(body, "Try again in 2 minutes."); said != c.again || (w.Header().Get("Retry-After") == "90") != c.again {
				t.Errorf("%s %s: when to try again is said: %v, %q", c.kind, name, said, w.Header().Get("Retry-After"))
			}
			if offered := strings.Contains(body, `href="/some/page/?q=1"`); offered != (c.again && name == "in the site") {
				t.Errorf("%s %s: to try again is offered: %v", c.kind, name, offered)
			}
		}
	}
}
