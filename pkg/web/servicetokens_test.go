//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const tokens = "/projects/web/tokens/"

func (w *team) serviceTokens(t *testing.T) []api.ServiceToken {
	t.Helper()
	var list api.Page[api.ServiceToken]
	w.owner.Call("GET", "/projects/web/tokens/", nil).Want(http.StatusOK).Decode(&list)
	return list.Results
}

func TestServiceTokenIsShownOnce(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.owner.Call("PUT", "/projects/web/environments/production/secrets/API_KEY/", map[string]any{"value": "open sesame"}).Want(http.StatusCreated)
		open(t, w.admin, tokens).Has(t, "No service tokens yet")
		form := open(t, w.admin, tokens+"new/").Form(t, tokens+"new/")
		values := url.Values{
			"name": {"CI"}, "environments": {"staging", "production"}, "access": {"read"}, "expires": {"30"}, "allowed_cidrs": {"127.0.0.1\r\n10.0.0.0/8, ::1"},
		}
		page := form.Submit(t, values)
		text := tokenOf(t, page)
		w.WithToken("CI", text).Call("GET", "/projects/web/environments/production/secrets/API_KEY/", nil).Want(http.StatusOK)
		w.WithToken("CI", text).Call("GET", "/projects/web/environments/development/secrets/", nil).Want(http.StatusNotFound)
		if strings.Count(page.Body, text) != 1 {
			t.Errorf("the token is %d times on the page", strings.Count(page.Body, text))
		}
		// Sent twice, one was made.
		if again := tokenOf(t, form.Submit(t, values)); again != text || len(w.serviceTokens(t)) != 1 {
			t.Errorf("%d tokens", len(w.serviceTokens(t)))
		}
		made := w.serviceTokens(t)[0]
		if in := time.Until(*made.ExpiresAt); in < 29*24*time.Hour || in > 30*24*time.Hour {
			t.Errorf("it expires in %v", in)
		}
		list := open(t, w.admin, tokens)
		list.Has(t, "CI", made.Prefix, "staging", "production", "127.0.0.1/32", "10.0.0.0/8", "by adam@example.com")
		if strings.Contains(list.Body, text) {
			t.Error("the token is shown for ever")
		}
		list.Form(t, tokens+made.ID+"/revoke/").Submit(t, nil).Has(t, "The token is revoked.", "No service tokens yet")
		w.WithToken("CI", text).Call("GET", "/projects/web/environments/production/secrets/", nil).Want(http.StatusUnauthorized)
		post(t, w.admin, tokens+made.ID+"/revoke/", nil).Want(http.StatusOK) // it is gone, as was wanted
	})
}

func tokenOf(t *testing.T, page *document) string {
	t.Helper()
	found := page.All("code", "id", "token")
	if page.Status != http.StatusOK || len(found) != 1 {
		t.Fatalf("%d: no token: %s", page.Status, page.Text())
	}
	return textOf(found[0])
}

func TestServiceTokenExpires(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	form := open(t, w.owner, tokens+"new/").Form(t, tokens+"new/")
	day := time.Now().UTC().AddDate(0, 0, 3).Format(time.DateOnly)
	for name, c := range map[string]struct {
		values url.Values
		want   string // the moment; empty: never
	}{
		"forever":  {url.Values{"expires": {"never"}}, ""},
		"some-day": {url.Values{"expires": {"day"}, "expires_on": {day}}, day},
	} {
		c.values["name"], c.values["environments"] = []string{name}, []string{"staging"}
		form = open(t, w.owner, tokens+"new/").Form(t, tokens+"new/")
		tokenOf(t, form.Submit(t, c.values))
		for _, made := range w.serviceTokens(t) {
			switch {
			case made.Name != name:
			case c.want == "" && made.ExpiresAt != nil:
				t.Errorf("%s expires at %v", name, made.ExpiresAt)
			case c.want != "" && made.ExpiresAt.Add(-time.Second).UTC().Format(time.DateOnly) != c.want:
				t.Errorf("%s expires at %v", name, made.ExpiresAt)
			}
		}
	}
	for problem, values := range map[string]url.Values{
		"must be in the future":                {"expires": {"day"}, "expires_on": {"2020-01-01"}},
		"must be a day such as 2026-01-31":     {"expires": {"day"}, "expires_on": {""}},
		"must name at least one environment":   {"environments": nil},
		"must not be empty":                    {"name": {" "}},
		"must be a network such as 10.0.0.0/8": {"allowed_cidrs": {"10.0.0.0/8 10.0.0.1/8"}},
	} {
		sent := url.Values{"name": {"x"}, "environments": {"staging"}}
		for name, value := range values {
			sent[name] = value
		}
		page := form.Submit(t, sent)
		page.Want(http.StatusBadRequest)
		if !strings.Contains(strings.ToLower(page.Text()), problem) {
			t.Errorf("%q: %s", values, page.Text())
		}
		if kept := page.Form(t, tokens+"new/").Values(); kept.Get("name") != sent.Get("name") || kept.Get("environments") != sent.Get("environments") || kept.Get("allowed_cidrs") != sent.Get("allowed_cidrs") {
			t.Errorf("of %q the form has kept %q", sent, kept)
		}
	}
	if page := post(t, w.owner, tokens+"new/", url.Values{"name": {"x"}, "environments": {"staging"}, "access": {"read"}, "expires": {"soon"}}); page.Status != http.StatusBadRequest {
		t.Errorf("no choice: %d", page.Status)
	}
}

func TestServiceTokensAreForAdmins(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	id := makeToken(t, w, "CI")
	values := url.Values{"name": {"x"}, "environments": {"staging"}, "access": {"read"}, "expires": {"30"}}
	for _, c := range []*heartlocktest.Caller{w.member, w.viewer} {
		before := w.State()
		for _, path := range []string{tokens, tokens + "new/"} {
			if page := visit(t, c, path); page.Status != http.StatusForbidden {
				t.Errorf("GET %s as %s: %d", path, c.Name, page.Status)
			}
		}
		for _, path := range []string{tokens + "new/", tokens + id + "/revoke/"} {
			if page := post(t, c, path, values); page.Status != http.StatusForbidden {
				t.Errorf("POST %s as %s: %d", path, c.Name, page.Status)
			}
		}
		if w.State() != before {
			t.Errorf("%s has changed something", c.Name)
		}
	}
}

func makeToken(t *testing.T, w *team, name string) (id string) {
	t.Helper()
	var made api.ServiceToken
	w.owner.Call("POST", "/projects/web/tokens/", map[string]any{"name": name, "environments": []string{"staging"}, "access": "read"}).Want(http.StatusCreated).Decode(&made)
	return made.ID
}

func TestServiceTokensThatNeedCareAreMarked(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	makeToken(t, w, "CI")
	open(t, w.owner, tokens).Lacks(t, "expired", "plain http")
	w.Exec("UPDATE tokens SET expires_at = 1, exposed_at = 1")
	open(t, w.owner, tokens).Has(t, "expired", "CI was sent over plain http")
}

func TestServiceTokensShowTextAsText(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for _, evil := range injections() {
		form := open(t, w.owner, tokens+"new/").Form(t, tokens+"new/")
		page := form.Submit(t, url.Values{"name": {evil}, "environments": {"staging"}, "allowed_cidrs": {evil}})
		page.Want(http.StatusBadRequest)
		page.IsTame(t)
		kept := page.Form(t, tokens+"new/").Values()
		if kept.Get("name") != evil || kept.Get("allowed_cidrs") != evil {
			t.Errorf("of %q the form has kept %q", evil, kept)
		}
		made := form.Submit(t, url.Values{"name": {evil}, "environments": {"staging"}})
		tokenOf(t, made)
		made.Has(t, strings.Join(strings.Fields(evil), " ")).IsTame(t)
		open(t, w.owner, tokens).Has(t, strings.Join(strings.Fields(evil), " ")).IsTame(t)
	}
}

// TestSnippetsWork pastes what a new token's page offers into a shell.
func TestSnippetsWork(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is missing: install it (apt-get install curl)")
	}
	w := newTeam(t, "")
	const value = `it's "quoted" $HOME`
	w.owner.Call("PUT", "/projects/web/environments/staging/secrets/API_KEY/", map[string]any{"value": value}).Want(http.StatusCreated)
	page := open(t, w.owner, tokens+"new/").Form(t, tokens+"new/").Submit(t, url.Values{"name": {"CI"}, "environments": {"staging"}})
	text := tokenOf(t, page)

	folder := t.TempDir()
	out := pasted(t, folder, snippetOf(t, page, "snippet-curl"), text)
	if !strings.Contains(out, `"key":"API_KEY"`) {
		t.Errorf("curl prints %s", strings.ReplaceAll(out, value, "(value)"))
	}
	env, err := os.ReadFile(filepath.Join(folder, ".env"))
	if info, _ := os.Stat(filepath.Join(folder, ".env")); err != nil || !strings.HasPrefix(string(env), "API_KEY=") || info.Mode().Perm() != 0o600 {
		t.Errorf(".env: %v, %d bytes", err, len(env))
	}

	show := "printf '%s' \"$API_KEY\" > shown"
	github := jobScript(t, snippetOf(t, page, "snippet-github"), func(doc any) any { return doc.([]any)[0].(map[string]any)["run"] })
	gitlab := jobScript(t, snippetOf(t, page, "snippet-gitlab"), func(doc any) any {
		steps := doc.(map[string]any)["deploy"].(map[string]any)["script"].([]any)
		return steps[0].(string) + "\n" + steps[1].(string)
	})
	for name, script := range map[string]string{"GitHub": github, "GitLab": gitlab} {
		pasted(t, folder, strings.Replace(script, "./deploy.sh", show, 1), text)
		if shown, err := os.ReadFile(filepath.Join(folder, "shown")); err != nil || string(shown) != value {
			t.Errorf("%s: the program was given another value, or none: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(folder, "secrets.sh")); err == nil {
			t.Errorf("%s leaves a file behind", name)
		}
		_ = os.Remove(filepath.Join(folder, "shown"))
	}
	pasted(t, folder, "docker() { cat \"$4\" > given; }\n"+snippetOf(t, page, "snippet-docker"), text)
	if given, err := os.ReadFile(filepath.Join(folder, "given")); err != nil || string(given) != "API_KEY="+value+"\n" {
		t.Errorf("docker was given something else: %v", err)
	}
	manifest := pasted(t, folder, "kubectl() { cat; }\n"+snippetOf(t, page, "snippet-kubernetes"), text)
	if !strings.Contains(manifest, "kind: Secret") || !strings.Contains(manifest, "name: web-staging") {
		t.Error("kubectl was given something else")
	}
}

func snippetOf(t *testing.T, page *document, id string) string {
	t.Helper()
	found := page.All("pre", "id", id)
	if len(found) != 1 {
		t.Fatalf("there is no %s", id)
	}
	return rawText(found[0])
}

// jobScript is the script of a CI job.
func jobScript(t *testing.T, text string, script func(any) any) string {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return script(doc).(string)
}

// pasted is what a shell prints that is given this script.
func pasted(t *testing.T, folder, script, token string) string {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	shell.Dir = folder
	shell.Env = []string{"PATH=" + os.Getenv("PATH"), "HEARTLOCK_TOKEN=" + token, "RUNNER_TEMP=" + folder, "CI_BUILDS_DIR=" + folder}
	out, err := shell.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, script)
	}
	return string(out)
}

// TestSnippetsOfAServerWithoutAnAddress: a command without any would ask whatever is
// on the machine that runs it; an example is seen to be one.
func TestSnippetsOfAServerWithoutAnAddress(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"ALLOWED_HOSTS=*"}})
	owner := s.Onboard()
	owner.Call("POST", "/projects/", map[string]any{"name": "Web"}).Want(http.StatusCreated)
	page := open(t, owner, tokens+"new/").Form(t, tokens+"new/").Submit(t, url.Values{"name": {"CI"}, "environments": {"staging"}})
	for _, id := range []string{"snippet-curl", "snippet-run"} {
		if snippet := snippetOf(t, page, id); !strings.Contains(snippet, "https://heartlock.example.com") || strings.Contains(snippet, s.URL) {
			t.Errorf("%s: %s", id, snippet)
		}
	}
}
