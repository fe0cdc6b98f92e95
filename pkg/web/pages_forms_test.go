//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/vault"
	"github.com/heartlock/heartlock/pkg/web"
)

var wildcard = regexp.MustCompile(`\{[a-z]+\}`)

// TestEveryFormIsGuarded sends every form of the site as no page of ours would: by
// nobody, from another site, without the session's token or with another one's, and
// as another type of content. All are refused, and nothing changes.
func TestEveryFormIsGuarded(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	stranger := s.Login(heartlocktest.OwnerEmail) // another session of the same person
	owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated)
	forms := web.Forms()
	if len(forms) < 2 {
		t.Fatalf("there are only %d forms", len(forms))
	}
	before := s.State()
	for pattern, action := range forms {
		path := fill(pattern)
		good := url.Values{session.CSRFField: {owner.Cookies[session.CSRFCookieName]}}
		foreign := url.Values{session.CSRFField: {stranger.Cookies[session.CSRFCookieName]}}
		const kind = "Content-Type: application/x-www-form-urlencoded"
		for name, c := range map[string]struct {
			status  int
			values  url.Values
			headers []string
		}{
			"no token":           {http.StatusForbidden, nil, []string{kind}},
			"empty token":        {http.StatusForbidden, url.Values{session.CSRFField: {""}}, []string{kind}},
			"another session":    {http.StatusForbidden, foreign, []string{kind}},
			"another origin":     {http.StatusForbidden, good, []string{kind, "Origin: https://evil.example.com"}},
			"no origin":          {http.StatusForbidden, good, []string{kind, "Origin: null"}},
			"another site":       {http.StatusForbidden, good, []string{kind, "Sec-Fetch-Site: cross-site"}},
			"a sibling site":     {http.StatusForbidden, good, []string{kind, "Sec-Fetch-Site: same-site"}},
			"text":               {http.StatusUnsupportedMediaType, good, []string{"Content-Type: text/plain"}},
			"JSON":               {http.StatusUnsupportedMediaType, good, []string{"Content-Type: application/json"}},
			"parts":              {http.StatusUnsupportedMediaType, good, []string{"Content-Type: multipart/form-data; boundary=x"}},
			"token in the query": {http.StatusForbidden, nil, []string{kind}},
		} {
			target := path
			if name == "token in the query" {
				target += "?" + good.Encode()
			}
			answer := owner.Do("POST", target, c.values.Encode(), c.headers...)
			if answer.Status != c.status {
				t.Errorf("POST %s with %s: %d, want %d", pattern, name, answer.Status, c.status)
			}
		}
		asNobody(t, s, path, action)
	}
	if after := s.State(); after != before {
		t.Error("something has changed")
	}
}

// asNobody sends a form without having signed in: only what is open to all is looked
// at, and not from another site.
func asNobody(t *testing.T, s *heartlocktest.Server, path string, action vault.Action) {
	t.Helper()
	nobody := s.Anonymous()
	const kind = "Content-Type: application/x-www-form-urlencoded"
	if answer := nobody.Do("POST", path, "", kind, "Origin: https://evil.example.com"); answer.Status != http.StatusForbidden {
		t.Errorf("POST %s by nobody from another site: %d", path, answer.Status)
	}
	rule, known := vault.RuleFor(action)
	if !known {
		t.Fatalf("POST %s: the policy does not know %s", path, action)
	}
	if rule.Open {
		return
	}
	answer := nobody.Do("POST", path, "", kind, "Referer: "+s.URL+"/projects/web/")
	if to := answer.Header.Get("Location"); answer.Status != http.StatusSeeOther || to != "/login/?next=%2Fprojects%2Fweb%2F" {
		t.Errorf("POST %s by nobody: %d to %q", path, answer.Status, to)
	}
}

// fill puts names into a pattern: of the project that there is, and of nothing else.
func fill(pattern string) string {
	return wildcard.ReplaceAllStringFunc(pattern, func(name string) string {
		switch name {
		case "{project}":
			return "web"
		case "{environment}":
			return "development"
		case "{key}":
			return "API_KEY"
		}
		return "00000000-0000-7000-8000-000000000000"
	})
}

// TestEveryPageIsLookedAtSafely asks for every page with HEAD and with methods that it
// does not have, and as somebody who is not signed in.
func TestEveryPageIsLookedAtSafely(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated)
	before := s.State()
	for _, pattern := range web.Pages() {
		path := fill(pattern)
		read, head := owner.Do("GET", path, nil), owner.Do("HEAD", path, nil)
		if head.Status != read.Status || head.Body != "" {
			t.Errorf("HEAD %s: %d, and GET %d", pattern, head.Status, read.Status)
		}
		if strings.HasPrefix(read.Header.Get("Content-Type"), "text/html") {
			if policy := read.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
				t.Errorf("GET %s: Content-Security-Policy %q", pattern, policy)
			}
			if cache := read.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
				t.Errorf("GET %s: Cache-Control %q", pattern, cache)
			}
		}
		for _, method := range []string{"PUT", "PATCH", "DELETE"} {
			if answer := owner.Do(method, path, nil); answer.Status != http.StatusMethodNotAllowed && answer.Status != http.StatusForbidden {
				t.Errorf("%s %s: %d", method, pattern, answer.Status)
			}
		}
	}
	if after := s.State(); after != before {
		t.Error("something has changed")
	}
}
