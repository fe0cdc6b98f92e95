package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const clientSecret = "canary-client-secret-f00d"

// completeSSO is all that single sign-on needs.
func completeSSO() map[string]any {
	return map[string]any{
		"client_id": "heartlock", "client_secret": clientSecret,
		"authorization_endpoint": "https://idp.example.com/auth?prompt=login", "token_endpoint": "https://idp.example.com/token",
		"userinfo_endpoint": "https://idp.example.com/me",
	}
}

func appConfigPath(s *heartlocktest.Server) string {
	return filepath.Join(s.Dir, config.DataDirName, config.AppConfigName)
}

func readAppConfig(t *testing.T, s *heartlocktest.Server) config.AppConfig {
	t.Helper()
	c, _, err := config.ReadAppConfig(filepath.Dir(appConfigPath(s)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeAppConfig(t *testing.T, dir, content string) {
	t.Helper()
	path := filepath.Join(dir, config.DataDirName, config.AppConfigName)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pair are two servers, with directories of their own, over one database.
func pair(t *testing.T, environ ...string) (a, b *heartlocktest.Server, owner *heartlocktest.Caller) {
	t.Helper()
	url, key := heartlocktest.Postgres(t), "HEARTLOCK_ENCRYPTION_KEY="+newKey(t)
	environ = append(environ, key, "SECRET_KEY=the-same-on-both-servers")
	a = heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: url, Environ: environ})
	owner = a.Onboard()
	b = heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: url, Environ: environ})
	return a, b, owner
}

// ssoOn reports whether people are offered single sign-on.
func ssoOn(c *heartlocktest.Caller) bool {
	var me api.Me
	c.Call("GET", "/auth/me/", nil).Want(200).Decode(&me)
	return me.SSOEnabled
}

func readSSO(c *heartlocktest.Caller) (settings api.SSOSettings) {
	c.Call("GET", "/admin/oidc/", nil).Want(200).Decode(&settings)
	return settings
}

func TestEveryServerFollowsTheSettings(t *testing.T) {
	t.Parallel()
	a, b, owner := pair(t)
	writeAppConfig(t, b.Dir, `{"own": [1, 2], "oidc": {"own": {"x": true}, "scopes": "openid own"}}`)
	onB := owner.On(b)
	heartlocktest.Eventually(t, "the changed file is used by its server", func() bool { return readSSO(onB).Scopes == "openid own" })
	if readSSO(owner).Scopes != "openid email profile" {
		t.Error("the file of one server has changed another")
	}

	owner.Call("PUT", "/admin/oidc/", completeSSO()).Want(200)
	if !ssoOn(owner) {
		t.Error("the server that was asked does not go by it")
	}
	heartlocktest.Eventually(t, "the other server goes by it", func() bool { return ssoOn(onB) })
	for name, s := range map[string]*heartlocktest.Server{"a": a, "b": b} {
		c := readAppConfig(t, s)
		if c.OIDC.ClientID != "heartlock" || c.OIDC.ClientSecret.Reveal() != clientSecret || c.OIDC.Scopes != "" || !strings.HasPrefix(c.SettingsVersion, "1-") {
			t.Errorf("%s: the file holds something else", name)
		}
		if info, err := os.Stat(appConfigPath(s)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if text, err := os.ReadFile(appConfigPath(b)); err != nil || !strings.Contains(string(text), `"own": {`) || !strings.Contains(string(text), `"own": [`) {
		t.Errorf("what the file held besides was lost: %v", err)
	}

	heartlocktest.Eventually(t, "both servers report the generation", func() bool {
		var status api.ServerStatus
		owner.Call("GET", "/admin/status/", nil).Want(200).Decode(&status)
		return len(status.Servers) == 2 && status.Servers[0].SettingsGeneration == 1 && status.Servers[1].SettingsGeneration == 1
	})
	owner.Call("DELETE", "/admin/oidc/", nil).Want(204)
	heartlocktest.Eventually(t, "the other server goes back", func() bool { return !ssoOn(onB) })
	if text, err := os.ReadFile(appConfigPath(b)); err != nil || strings.Contains(string(text), clientSecret) || !strings.Contains(string(text), `"own": {`) {
		t.Errorf("the file still holds the secret, or has lost what is its own: %v", err)
	}
}

// TestTheClientSecretStaysHidden looks for it everywhere.
func TestTheClientSecretStaysHidden(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		answers := owner.Call("PUT", "/admin/oidc/", completeSSO()).Want(200).Body
		answers += owner.Call("GET", "/admin/oidc/", nil).Want(200).Body
		bad := completeSSO()
		bad["client_secret"] = clientSecret + "\x00"
		bad["scopes"] = "email"
		answers += owner.Call("PUT", "/admin/oidc/", bad).Want(400).Body
		answers += owner.Call("PUT", "/admin/oidc/", map[string]any{"client_secret": clientSecret, "surplus": clientSecret}).Want(400).Body
		answers += owner.Call("POST", "/admin/oidc/test/", bad).Want(400).Body
		answers += owner.Call("PUT", "/admin/oidc/", `{"client_secret": "`+clientSecret).Want(400).Body
		answers += owner.Call("GET", "/admin/status/", nil).Want(200).Body
		if dump := s.Dump(); !strings.Contains(dump, "settings.sso.update") {
			t.Error("the change is not in the audit trail")
		} else if strings.Contains(dump, clientSecret) {
			t.Error("the database holds it in the clear")
		}
		if strings.Contains(answers, clientSecret) {
			t.Error("an answer holds it")
		}
		if s.Logs.Contains(clientSecret) {
			t.Error("the log holds it")
		}
		if got := readSSO(owner); !got.ClientSecretSet || got.Sources["client_secret"] != "appconfig.json" {
			t.Error("it was not saved")
		}
	})
}

func TestSSOSettings(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{
		"OIDC_RP_CLIENT_ID=from-the-environment", "OIDC_SCOPES=openid email", "OIDC_CLIENT_SECRET=of-the-environment",
		"OIDC_TOKEN_ENDPOINT=https://idp.example.com/token", "HEARTLOCK_APP_URL=https://secrets.example.com",
	}})
	owner := s.Onboard()
	got := readSSO(owner)
	callback := "https://secrets.example.com/oidc/callback/"
	want := api.SSOSettings{
		Missing: []string{"authorization_endpoint", "userinfo_endpoint"}, CallbackURL: &callback,
		ClientID: "from-the-environment", ClientSecretSet: true, TokenEndpoint: "https://idp.example.com/token", Scopes: "openid email",
		RedirectURI: callback, CreateUnknownUser: true,
		Sources: map[string]string{
			"enable": "default", "issuer": "default", "client_id": "OIDC_RP_CLIENT_ID", "client_secret": "OIDC_CLIENT_SECRET",
			"authorization_endpoint": "default", "token_endpoint": "OIDC_TOKEN_ENDPOINT", "userinfo_endpoint": "default",
			"end_session_endpoint": "default", "scopes": "OIDC_SCOPES", "redirect_uri": "HEARTLOCK_APP_URL", "create_unknown_user": "default",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// Only what is given is written; null takes it back.
	owner.Call("PUT", "/admin/oidc/", map[string]any{
		"authorization_endpoint": "https://idp.example.com/auth", "userinfo_endpoint": "https://idp.example.com/me",
		"scopes": "openid", "create_unknown_user": false, "client_id": nil,
	}).Want(200).Decode(&got)
	want.Enabled, want.Missing, want.Generation = true, []string{}, 1
	want.AuthorizationEndpoint, want.UserinfoEndpoint = "https://idp.example.com/auth", "https://idp.example.com/me"
	want.Scopes, want.CreateUnknownUser = "openid", false
	for _, field := range []string{"authorization_endpoint", "userinfo_endpoint", "scopes", "create_unknown_user"} {
		want.Sources[field] = "appconfig.json"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	owner.Call("PUT", "/admin/oidc/", map[string]any{"scopes": nil, "enable": false}).Want(200).Decode(&got)
	off := false
	want.Generation, want.Enabled, want.Enable, want.Scopes = 2, false, &off, "openid email"
	want.Sources["scopes"], want.Sources["enable"] = "OIDC_SCOPES", "appconfig.json"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if ssoOn(owner) {
		t.Error("it is switched off")
	}
	s.Restart(append([]string{}, "OIDC_RP_CLIENT_ID=other")...)
	if got := readSSO(s.Login(heartlocktest.OwnerEmail)); got.ClientID != "other" || got.AuthorizationEndpoint != want.AuthorizationEndpoint || got.Generation != 2 {
		t.Errorf("after a restart: %+v", got)
	}
}

func TestSSOSettingsAreChecked(t *testing.T) {
	t.Parallel()
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{
		Environ: append(heartlocktest.Production(), "HEARTLOCK_ENCRYPTION_KEY="+newKey(t), "HEARTLOCK_APP_URL=https://secrets.example.com"),
		Headers: []string{"X-Forwarded-Proto: https", "Origin: https://secrets.example.com"},
	})
	owner := s.Onboard()
	owner.Call("PUT", "/admin/oidc/", completeSSO()).Want(200)
	before := readSSO(owner)
	for field, values := range map[string][]any{
		"token_endpoint":         {"", "http://idp.example.com/token", "file:///etc/passwd", "https://u:p@idp.example.com/", "https://idp.example.com/#x", "/token", 7, true},
		"authorization_endpoint": {"gopher://idp.example.com", strings.Repeat("https://a", 300)},
		"userinfo_endpoint":      {"https://idp.example.com/me?x=1", []string{"https://idp.example.com"}},
		"issuer":                 {"", "idp"},
		"scopes":                 {"email", "openid,email", "", []string{"openid"}},
		"redirect_uri":           {"/oidc/callback/", "https://secrets.example.com/elsewhere/", "http://secrets.example.com/oidc/callback/"},
		"client_id":              {"", "a\nb"},
		"client_secret":          {"", 1},
		"enable":                 {"true", 1},
		"create_unknown_user":    {"no"},
		"enabled":                {true},
	} {
		for _, value := range values {
			body := map[string]any{"client_secret": clientSecret}
			body[field] = value
			p := owner.Call("PUT", "/admin/oidc/", body).WantProblem(400)
			if len(p.Errors) != 1 || p.Errors[0].Location != "body."+field {
				t.Errorf("%s=%.40v: %v", field, value, p.Errors)
			}
		}
	}
	// Another endpoint must not be given the secret of the present one.
	p := owner.Call("PUT", "/admin/oidc/", map[string]any{"token_endpoint": "https://evil.example.com/token"}).WantProblem(400)
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.client_secret" {
		t.Errorf("%v", p.Errors)
	}
	owner.Call("POST", "/admin/oidc/test/", map[string]any{"token_endpoint": "https://evil.example.com/token"}).Want(400)
	if diff := cmp.Diff(before, readSSO(owner)); diff != "" {
		t.Error("what was refused has changed something: " + diff)
	}
	owner.Call("PUT", "/admin/oidc/", map[string]any{"token_endpoint": "https://new.example.com/token", "client_secret": "new"}).Want(200)
}

func TestSSOSettingsAreChangedByGeneration(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		if tag := owner.Call("GET", "/admin/oidc/", nil).Want(200).Header.Get("ETag"); tag != `"0"` {
			t.Errorf("ETag %s", tag)
		}
		tag := owner.Call("PUT", "/admin/oidc/", map[string]any{"scopes": "openid"}, `If-Match: "0"`).Want(200).Header.Get("ETag")
		if tag != `"1"` {
			t.Errorf("ETag %s", tag)
		}
		owner.Call("PUT", "/admin/oidc/", map[string]any{"scopes": "openid email"}, `If-Match: "0"`).WantProblem(412)
		owner.Call("DELETE", "/admin/oidc/", nil, `If-Match: "0"`).WantProblem(412)
		owner.Call("PUT", "/admin/oidc/", map[string]any{}, `If-None-Match: *`).WantProblem(400)
		owner.Call("PUT", "/admin/oidc/", map[string]any{}, `If-Match: "v1"`).WantProblem(400)
		statuses := make(chan int)
		for range 5 {
			go func() {
				c := owner.On(s)
				statuses <- c.Call("PUT", "/admin/oidc/", map[string]any{"scopes": "openid email"}, "If-Match: "+tag).Status
			}()
		}
		count := map[int]int{}
		for range 5 {
			count[<-statuses]++
		}
		if diff := cmp.Diff(map[int]int{200: 1, 412: 4}, count); diff != "" {
			t.Error(diff)
		}
		if got := readSSO(owner); got.Generation != 2 {
			t.Errorf("generation %d", got.Generation)
		}
	})
}

// TestChangesOnTwoServersAtOnce: each field reaches both, or its caller is told.
func TestChangesOnTwoServersAtOnce(t *testing.T) {
	t.Parallel()
	a, b, owner := pair(t)
	statuses := make(chan int)
	fields := []string{"client_id", "issuer"}
	for round := range 4 {
		for i, s := range []*heartlocktest.Server{a, b} {
			go func() {
				statuses <- owner.On(s).Call("PUT", "/admin/oidc/", map[string]any{fields[i]: fmt.Sprintf("https://round%d.example.com", round)}).Status
			}()
		}
		for range 2 {
			if status := <-statuses; status != 200 && status != 409 {
				t.Errorf("status %d", status)
			}
		}
	}
	last := readSSO(owner)
	heartlocktest.Eventually(t, "both agree", func() bool {
		other := readSSO(owner.On(b))
		return other.ClientID == last.ClientID && other.Issuer == last.Issuer && other.Generation == last.Generation
	})
	if last.Generation < 4 || last.Generation > 8 {
		t.Errorf("generation %d", last.Generation)
	}
}
