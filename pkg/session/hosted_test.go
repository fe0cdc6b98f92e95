package session_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/session"
)

// TestCookiesThatNobodyPlants: over https the cookies that are nobody's but ours
// have the name by which browsers take them from this host alone.
func TestCookiesThatNobodyPlants(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		c := &session.Cookies{SessionSecure: secure}
		for _, one := range []struct {
			name, path string
			give       func(http.ResponseWriter, api.Value)
			read       func(*http.Request) string
		}{
			{"heartlock_sso", "/oidc/", c.BeginAttempt, c.Attempt},
			{"heartlock_browser", "/", c.RememberBrowser, c.Browser},
		} {
			answer := httptest.NewRecorder()
			one.give(answer, api.NewValue("value"))
			set := answer.Header().Get("Set-Cookie")
			name, path := one.name, one.path
			if secure {
				name, path = "__Host-"+name, "/"
			}
			if !strings.HasPrefix(set, name+"=value; Path="+path+"; ") || strings.Contains(set, "; Secure") != secure ||
				!strings.Contains(set, "; HttpOnly") || !strings.Contains(set, "; SameSite=") || strings.Contains(set, "Domain") {
				t.Errorf("secure %v: %s", secure, set)
			}
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			request.AddCookie(&http.Cookie{Name: one.name, Value: "planted"})
			if got := one.read(request); (got == "") != secure {
				t.Errorf("secure %v: %s has %q without the prefix", secure, one.name, got)
			}
			request.AddCookie(&http.Cookie{Name: "__Host-" + one.name, Value: "ours"})
			if got := one.read(request); secure && got != "ours" {
				t.Errorf("%s has %q", one.name, got)
			}
		}
	}
}

// TestAKnownBrowserSignsInWhileOthersGuess over HTTP.
func TestAKnownBrowserSignsInWhileOthersGuess(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		owner.Call("POST", "/auth/logout/", nil).Want(204)
		for range 5 {
			s.Anonymous().Call("POST", login, credentials(heartlocktest.OwnerEmail, "wrong")).WantProblem(401)
		}
		s.Anonymous().Call("POST", login, credentials(heartlocktest.OwnerEmail, heartlocktest.Password)).WantProblem(429)
		owner.Call("POST", login, credentials(heartlocktest.OwnerEmail, heartlocktest.Password)).Want(200)
		if s.Logs.Contains(owner.Cookies["heartlock_browser"]) || strings.Contains(s.Dump(), owner.Cookies["heartlock_browser"]) {
			t.Error("the mark is logged or stored")
		}
	})
}
