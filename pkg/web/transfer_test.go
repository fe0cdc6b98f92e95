//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/web"
)

// everywhere fills a pattern for a project and an environment. The second result is
// false for patterns that have neither.
func everywhere(pattern, project, environment string) (string, bool) {
	if !strings.HasPrefix(pattern, "/projects/{project}/") {
		return "", false
	}
	return strings.NewReplacer("{project}", project, "{environment}", environment, "{key}", "API_KEY", "{revision}", "1", "{version}", "1").
		Replace(pattern), true
}

// TestWithheldEnvironmentIsNone asks for every page of an environment, and sends every
// form of it, as somebody who is kept out of it, and for one that never was. Nothing
// tells them apart; nor a foreign project from none.
func TestWithheldEnvironmentIsNone(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.set(production, "API_KEY", "canary")
	w.set(staging, "API_KEY", "canary-other")
	w.limit(t)
	w.AddUser("eve@example.com")
	eve := w.Login("eve@example.com")
	values := url.Values{"text": {"A=1"}, "format": {"dotenv"}, "seen": {"1"}, "from": {"staging"}, "to": {"production"}, "all": {"1"}, "from_seen": {"1"}}
	same := func(what string, hidden, none *document) {
		t.Helper()
		if hidden.Status != http.StatusNotFound || canonical(hidden) != canonical(none) {
			t.Errorf("%s: %d and %d\n%s\n%s", what, hidden.Status, none.Status, hidden.Text(), none.Text())
		}
	}
	state := w.State()
	for _, pattern := range web.Pages() {
		if hidden, of := everywhere(pattern, "web", "production"); of {
			none, _ := everywhere(pattern, "web", "nowhere")
			if hidden != none {
				same("GET "+pattern, visit(t, w.member, hidden), visit(t, w.member, none))
			}
			foreign, _ := everywhere(pattern, "nowhere", "production")
			same("GET "+pattern+" by a stranger", visit(t, eve, hidden), visit(t, eve, foreign))
		}
	}
	for pattern := range web.Forms() {
		if hidden, of := everywhere(pattern, "web", "production"); of {
			none, _ := everywhere(pattern, "web", "nowhere")
			if hidden != none {
				same("POST "+pattern, post(t, w.member, hidden, values), post(t, w.member, none, values))
			}
		}
	}
	for _, query := range []string{"?from=staging&to=", "?to=staging&from=", "?key=API_KEY&to="} {
		for _, page := range []string{comparing, copying} {
			same("GET "+page+query, visit(t, w.member, page+query+"production"), visit(t, w.member, page+query+"nowhere"))
		}
	}
	for _, path := range []string{comparing + "reveal/", comparing + "preview/", copying} {
		other := url.Values{}
		for k, v := range values {
			other[k] = v
		}
		other.Set("to", "nowhere")
		hidden, none := post(t, w.member, path, values), post(t, w.member, path, other)
		if hidden.Status < 400 || canonical(hidden) != canonical(none) {
			t.Errorf("POST %s: %d and %d", path, hidden.Status, none.Status)
		}
	}
	if w.State() != state {
		t.Error("something has changed")
	}
}

// TestValuesAreNowhereUnlessRevealed looks at every page, as its HTML stands, for a value
// that nobody has asked to see.
func TestValuesAreNowhereUnlessRevealed(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for _, environment := range []string{development, staging, production} {
		w.set(environment, "API_KEY", "canary-first")
		w.set(environment, "API_KEY", "canary"+strings.ReplaceAll(environment, "/", "-"))
	}
	for _, pattern := range web.Pages() {
		path, of := everywhere(pattern, "web", "staging")
		if !of {
			continue
		}
		for _, query := range []string{"", "?from=staging&to=production", "?key=API_KEY&to=staging", "?q=canary"} {
			if page := visit(t, w.owner, path+query); strings.Contains(strings.ReplaceAll(page.Body, `value="canary"`, ""), "canary-") {
				t.Errorf("%s%s holds a value", path, query)
			}
		}
	}
	if strings.Contains(w.Logs.String(), "canary-") {
		t.Error("a value is in the log")
	}
}

// TestRevealedPagesAreNotKept: neither a browser nor a proxy stores a page with values.
func TestRevealedPagesAreNotKept(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.set(staging, "API_KEY", "canary")
	w.set(production, "API_KEY", "canary-other")
	for path, values := range map[string]url.Values{
		staging + "history/1/reveal/":                 nil,
		staging + "secrets/API_KEY/history/1/reveal/": nil,
		staging + "export/show/":                      field("format", "json"),
		staging + "export/":                           field("format", "json"),
		comparing + "reveal/":                         {"from": {"staging"}, "to": {"production"}},
		importing:                                     field("text", "A=canary"),
	} {
		page := post(t, w.viewerOr(path), path, values)
		if !strings.Contains(page.Body, "canary") || page.Header.Get("Cache-Control") != "no-store" || page.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v", path, page.Status, page.Header)
		}
	}
}

// viewerOr is the least who may do something.
func (w *team) viewerOr(path string) *heartlocktest.Caller {
	if path == importing {
		return w.member
	}
	return w.viewer
}
