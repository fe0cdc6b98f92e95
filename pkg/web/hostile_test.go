//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
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
// never with the server. SQLite takes any text: only PostgreSQL could be hurt.
func TestOddTextIsNoError(t *testing.T) {
	t.Parallel()
	w := newTeam(t, heartlocktest.Postgres(t))
	w.set(production, "API_KEY", "canary")
	for _, odd := range oddTexts() {
		oddPages(t, w, odd)
		oddForms(t, w, odd)
	}
	w.values(production)
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

// TestLogSaysNothingOfAForm: a value that is badly escaped is in no log, not even a
// letter of it.
func TestLogSaysNothingOfAForm(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	const kind = "Content-Type: application/x-www-form-urlencoded"
	for _, body := range []string{"email=a@example.com&password=hunter%zq2", "email=a@example.com&password=hunter;zq2", strings.Repeat("zq&", 20000)} {
		answer := w.Anonymous().Do("POST", "/login/", body, kind)
		if answer.Status != http.StatusBadRequest {
			t.Errorf("%.30s…: %d", body, answer.Status)
		}
	}
	if !w.Logs.Contains("page failed") || w.Logs.Contains("zq") {
		t.Errorf("the log: %s", w.Logs.String())
	}
}

// TestNothingOfAnotherProjectIsReached names what belongs to one project in the
// addresses of another one, whose owner asks.
func TestNothingOfAnotherProjectIsReached(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.AddUser("eve@example.com")
		eve := w.Login("eve@example.com")
		eve.Call("POST", "/projects/", map[string]any{"name": "Own"}).Want(http.StatusCreated)
		var token api.ServiceToken
		w.owner.Call("POST", "/projects/web/tokens/", map[string]any{"name": "ci", "environments": []string{"staging"}, "access": "read"}).Want(http.StatusCreated).Decode(&token)
		var invitation api.Invitation
		w.owner.Call("POST", "/projects/web/invitations/", map[string]any{"email": "new@example.com", "role": "viewer"}).Want(http.StatusCreated).Decode(&invitation)
		var environment api.Environment
		w.owner.Call("GET", "/projects/web/environments/production/", nil).Want(http.StatusOK).Decode(&environment)
		w.set(production, "API_KEY", "canary")
		foreign := strings.NewReplacer("{project}", "own", "{user}", w.member.UserID, "{token}", token.ID, "{invitation}", invitation.ID,
			"{environment}", environment.ID, "{key}", "API_KEY", "{revision}", "1", "{version}", "1")
		values := url.Values{"role": {"owner"}, "name": {"x"}, "slug": {"x"}, "confirm": {"production"}, "environments": {environment.ID}, "access": {"read"}, "expires": {"30"}, "from": {environment.ID}, "to": {environment.ID}, "all": {"1"}, "seen": {"1"}, "from_seen": {"1"}, "value": {"x"}, "text": {"A=1"}, "key": {"API_KEY"}}
		state := w.State()
		for pattern := range web.Forms() {
			if strings.Count(pattern, "{") < 2 || !strings.HasPrefix(pattern, "/projects/") {
				continue
			}
			if answer := post(t, eve, foreign.Replace(pattern), values); strings.Contains(answer.Body, "canary") || strings.Contains(answer.Body, "mia@example.com") {
				t.Errorf("POST %s tells of the other project", pattern)
			}
		}
		for _, path := range []string{"compare/reveal/", "compare/promote/", "matrix/copy/", "tokens/new/"} {
			if answer := post(t, eve, "/projects/own/"+path, values); answer.Status < 400 || strings.Contains(answer.Body, "canary") {
				t.Errorf("POST %s: %d", path, answer.Status)
			}
		}
		for _, pattern := range web.Pages() {
			if strings.Count(pattern, "{") < 2 || !strings.HasPrefix(pattern, "/projects/") {
				continue
			}
			if answer := visit(t, eve, foreign.Replace(pattern)); answer.Status != http.StatusNotFound {
				t.Errorf("GET %s: %d", pattern, answer.Status)
			}
		}
		if diff := cmp.Diff(state, w.State()); diff != "" {
			t.Errorf("something has changed: %s", diff)
		}
	})
}

// TestNobodyGetsTheAnswerOfAnother sends the form of somebody else once more, with the
// field that has it answered once: as another person, and for another project.
func TestNobodyGetsTheAnswerOfAnother(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.owner.Call("POST", "/projects/", map[string]any{"name": "Second"}).Want(http.StatusCreated)
	const form = "/projects/web/tokens/new/"
	sent := open(t, w.owner, form).Form(t, form).Values()
	sent.Set("name", "ci")
	sent.Set("environments", "staging")
	token := func(d *document) string {
		for _, code := range d.All("code", "id", "token") {
			return textOf(code)
		}
		return ""
	}
	first := token(post(t, w.owner, form, sent))
	if first == "" || token(post(t, w.owner, form, sent)) != first {
		t.Error("a form that is sent twice makes no token, or two")
	}
	if other := post(t, w.admin, form, sent); token(other) == "" || token(other) == first {
		t.Errorf("another person gets %q: %d", token(other), other.Status)
	}
	if other := post(t, w.owner, "/projects/second/tokens/new/", sent); other.Status != http.StatusConflict || token(other) != "" {
		t.Errorf("for another project: %d", other.Status)
	}
	w.owner.Call("PATCH", "/projects/web/members/"+w.admin.UserID+"/", map[string]any{"role": "member"}).Want(http.StatusOK)
	if late := post(t, w.admin, form, sent); late.Status != http.StatusForbidden || token(late) != "" {
		t.Errorf("who may not any more: %d", late.Status)
	}
}

// TestEveryRevealedValueHasItsEnd looks at all pages that hold a value of the database:
// there is a script for it that takes it out of the page again.
func TestEveryRevealedValueHasItsEnd(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.set(staging, "API_KEY", "canary")
	w.set(production, "API_KEY", "canary-other")
	const secret = staging + "secrets/API_KEY/"
	for path, values := range map[string]url.Values{
		staging + "reveal/":           nil,
		secret + "reveal/":            nil,
		secret + "value/":             {"value": {"mine"}, "state": {"7-7"}},
		secret + "history/1/reveal/":  nil,
		staging + "history/1/reveal/": nil,
		staging + "export/show/":      field("format", "json"),
		comparing + "reveal/":         {"from": {"staging"}, "to": {"production"}},
	} {
		page, found := post(t, w.member, path, values), 0
		for _, module := range []string{"revealed", "secret", "secrets"} {
			for _, root := range page.All("section", "data-module", module) {
				found += strings.Count(rawText(root), "canary")
			}
			for _, tag := range []string{"ol", "div", "table"} {
				for _, root := range page.All(tag, "data-module", module) {
					found += strings.Count(rawText(root), "canary")
				}
			}
		}
		if all := strings.Count(page.Body, "canary"); all == 0 || found != all {
			t.Errorf("%s: of %d values %d leave the page", path, all, found)
		}
		if values := page.All("pre", "data-value", "*"); len(values) == 0 && !strings.Contains(page.Body, `data-module="secret`) {
			t.Errorf("%s: nothing is marked as a value", path)
		}
	}
}

// TestAnOldPageWidensNothing changes one thing of a member and of an environment, on
// pages that were opened before somebody else has narrowed another.
func TestAnOldPageWidensNothing(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	member, environment := people+w.member.UserID+"/", "/projects/web/settings/environments/staging/"
	page, settings := open(t, w.admin, people), open(t, w.admin, "/projects/web/settings/")
	w.owner.Call("PATCH", "/projects/web/members/"+w.member.UserID+"/", map[string]any{"role": "viewer", "environments": map[string]string{"production": "none"}}).Want(http.StatusOK)
	w.owner.Call("PATCH", "/projects/web/environments/staging/", map[string]any{"protected": true}).Want(http.StatusOK)
	page.Form(t, member).Submit(t, field("limit-development", "read")).Want(http.StatusOK)
	settings.Form(t, environment).Submit(t, field("name", "Stage")).Want(http.StatusOK)
	var list api.Page[api.Member]
	w.owner.Call("GET", "/projects/web/members/", nil).Want(http.StatusOK).Decode(&list)
	for _, m := range list.Results {
		want := map[string]api.EnvironmentAccess{"production": api.EnvironmentNone, "development": api.EnvironmentRead}
		if diff := cmp.Diff(want, m.Environments); m.ID == w.member.UserID && (diff != "" || m.Role != api.RoleViewer) {
			t.Errorf("the member is a %s, with other limits: %s", m.Role, diff)
		}
	}
	var staging api.Environment
	w.owner.Call("GET", "/projects/web/environments/staging/", nil).Want(http.StatusOK).Decode(&staging)
	if !staging.Protected || staging.Name != "Stage" {
		t.Errorf("the environment is %+v", staging)
	}
	for _, choice := range []string{"no", "yes"} {
		sent := url.Values{"protected": {choice}}
		if choice == "yes" {
			sent["protected"] = []string{"yes", "no"}
		}
		open(t, w.admin, "/projects/web/settings/").Form(t, environment).Submit(t, sent).Want(http.StatusOK)
		w.owner.Call("GET", "/projects/web/environments/staging/", nil).Want(http.StatusOK).Decode(&staging)
		if staging.Protected != (choice == "yes") {
			t.Errorf("protected: %s, and it is %t", choice, staging.Protected)
		}
	}
}
