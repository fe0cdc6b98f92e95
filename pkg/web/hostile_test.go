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

// TestEveryRefusalIsRecorded sends every form of a project as somebody whose role is too
// low for it. The audit trail says so each time, once, also where the refusal is shown
// on the form's own page.
func TestEveryRefusalIsRecorded(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.set(production, "API_KEY", "canary")
	w.set(staging, "API_KEY", "canary-other")
	values := url.Values{
		"text": {"A=1"}, "format": {"dotenv"}, "seen": {"1"}, "from": {"staging"}, "to": {"production"}, "all": {"1"}, "from_seen": {"1"},
		"name": {"x"}, "slug": {"x"}, "email": {"x@example.com"}, "role": {"viewer"}, "environments": {"staging"}, "access": {"read"},
		"confirm": {"web"}, "expires": {"30"}, "key": {"NEW"}, "value": {"new"}, "newest": {"1"}, "came": {"1"},
	}
	refused := 0
	for pattern := range web.Forms() {
		path, of := everywhere(pattern, "web", "production")
		if !of || strings.HasSuffix(pattern, "/leave/") {
			continue
		}
		path = strings.NewReplacer("{user}", w.member.UserID, "{invitation}", w.member.UserID, "{token}", w.member.UserID).Replace(path)
		sent := url.Values{}
		for name, value := range values {
			sent[name] = value
		}
		if strings.HasSuffix(path, "/environments/production/delete/") {
			sent.Set("confirm", "production")
		}
		before := w.Count("audit_events", "outcome = 'refused'")
		answer := post(t, w.viewer, path, sent)
		recorded := w.Count("audit_events", "outcome = 'refused'") - before
		if answer.Status == http.StatusForbidden {
			refused++
		}
		if want := map[bool]int{true: 1}[answer.Status == http.StatusForbidden]; recorded != want {
			t.Errorf("POST %s: %d, and %d refusals are recorded", pattern, answer.Status, recorded)
		}
	}
	if refused < 15 {
		t.Errorf("only %d forms are refused to a viewer", refused)
	}
}

// TestAFormOfAStrangerIsSmall: nobody unknown makes the server read as much as an import
// takes.
func TestAFormOfAStrangerIsSmall(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	large := url.Values{"email": {"a@example.com"}, "password": {strings.Repeat("x", 300<<10)}}
	for _, path := range []string{"/login/", "/password-reset/", "/invitations/abc/accept/"} {
		if answer := send(t, w.Anonymous(), path, large); answer.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("POST %s by a stranger: %d", path, answer.Status)
		}
	}
	if answer := post(t, w.member, staging+"import/", url.Values{"text": {"A=" + strings.Repeat("x", 60<<10) + "\nB=" + strings.Repeat("x", 60<<10)}}); answer.Status != http.StatusOK {
		t.Errorf("an import: %d", answer.Status)
	}
}

// oddTexts are what no browser sends for text, and what databases differ about.
func oddTexts() []string { return []string{"a\xff", "a\x00b", strings.Repeat("é", 3000)} }

// TestOddTextIsNoError puts what is no text into every part of an address and every
// field of a form. Something is wrong with the request each time, or nothing is found;
// never with the server.
func TestOddTextIsNoError(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.set(production, "API_KEY", "canary")
		for _, odd := range oddTexts() {
			oddPages(t, w, odd)
			oddForms(t, w, odd)
		}
		w.values(production)
	})
}

func oddPages(t *testing.T, w *team, odd string) {
	t.Helper()
	query := url.Values{}
	for _, name := range []string{"q", "sort", "before", "after", "cursor", "from", "to", "key", "actor", "action", "outcome", "project", "environment", "target", "show", "next", "user_code", "format", "callback", "state", "code_challenge", "machine", "only"} {
		query.Set(name, odd)
	}
	for _, pattern := range web.Pages() {
		for name := range query {
			known := fill(pattern) + "?" + url.Values{name: query[name]}.Encode()
			if answer := visit(t, w.owner, known); answer.Status >= 500 {
				t.Errorf("GET %s with %s=%q: %d", pattern, name, odd, answer.Status)
			}
		}
		if strings.ContainsRune(pattern, '{') && !strings.Contains(odd, "\x00") && len(odd) < 1000 {
			path := wildcard.ReplaceAllString(pattern, url.PathEscape(odd))
			if answer := visit(t, w.owner, path); answer.Status >= 500 || answer.Status == 200 && !strings.HasPrefix(pattern, "/admin/projects/") {
				t.Errorf("GET %s for %q: %d", pattern, odd, answer.Status)
			}
		}
	}
}

func oddForms(t *testing.T, w *team, odd string) {
	t.Helper()
	names := []string{
		"text", "format", "seen", "from", "to", "all", "from_seen", "name", "slug", "email", "role", "environments", "access", "confirm", "expires", "key", "value", "comment",
		"newest", "came", "limit-" + odd, "first_name", "last_name", "description", "direction", "allowed_cidrs", "asked", "code", "machine", "callback", "state", "days", "to", "once", "shown",
		"new_password", "current_password", "before", "tokens", "next", "generation", "client_id", "issuer", "client_secret", "scopes", "enable", "remove",
	}
	for pattern := range web.Forms() {
		if strings.Contains(pattern, "logout") || strings.Contains(pattern, "deactivate") {
			continue
		}
		values := url.Values{}
		for _, name := range names {
			values.Set(name, odd)
		}
		if answer := post(t, w.owner, fill(pattern), values); answer.Status >= 500 {
			t.Errorf("POST %s with %q: %d %s", pattern, odd, answer.Status, answer.Text())
		}
	}
}
