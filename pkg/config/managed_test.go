package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/fault"
)

const clientCanary = "canary-client-secret"

// complete is single sign-on with everything that it needs.
func complete() Managed {
	return Managed{OIDC: AppConfigOIDC{
		ClientID: "heartlock", ClientSecret: NewSecret(clientCanary), AuthorizationEndpoint: "https://idp.example.com/auth",
		TokenEndpoint: "https://idp.example.com/token", UserinfoEndpoint: "https://idp.example.com/me",
	}}
}

func TestManagedSurvivesItsJSON(t *testing.T) {
	t.Parallel()
	text := NewSecret(`{"app_url":"https://a.example.com","oidc":{"client_id":"heartlock","newer":[1]},"newest":{"x":true}}`)
	m, err := DecodeManaged(text)
	if err != nil {
		t.Fatal(err)
	}
	m.OIDC.ClientSecret = NewSecret(clientCanary)
	again, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"newer": [`, `"newest": {`, clientCanary, "https://a.example.com"} {
		if !strings.Contains(again.Reveal(), part) {
			t.Errorf("%s was lost", part)
		}
	}
	if _, err := DecodeManaged(NewSecret(`{"oidc":{"client_secret":"` + clientCanary + `",}`)); fault.KindOf(err) != fault.Internal || strings.Contains(fault.Detail(err), clientCanary) {
		t.Errorf("a broken text: %v", err)
	}
}

// TestManagedNeverHoldsTheDatabase: what comes from the database must not lead a
// server to another one, nor to another key.
func TestManagedNeverHoldsTheDatabase(t *testing.T) {
	t.Parallel()
	m, err := DecodeManaged(NewSecret(`{"database_url":"sqlite:////elsewhere","encryption_key":"` + keyB + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t).appConfig(`{"encryption_key":"` + keyA + `"}`)
	with, err := f.load().With(m)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(with.Database.Path, "elsewhere") || with.EncryptionKey.Keys[0].Encode() != keyA {
		t.Error("the database or the key came from the managed settings")
	}
	if err := SaveManaged(filepath.Join(f.root, DataDirName), m, "1-1"); err != nil {
		t.Fatal(err)
	}
	if text := read(t, f); strings.Contains(text, "elsewhere") || strings.Contains(text, keyB) {
		t.Error("they were written to the file")
	}
}

func read(t *testing.T, f *fixture) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.root, DataDirName, AppConfigName))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSaveManagedKeepsTheRest(t *testing.T) {
	t.Parallel()
	f := newFixture(t).appConfig(`{"app_url":"https://here.example.com","encryption_key":"` + keyA + `","own":[1,2],"oidc":{"own":{"a":1},"scopes":"openid","client_id":"former"}}`)
	m := complete()
	if err := SaveManaged(filepath.Join(f.root, DataDirName), m, "3-17"); err != nil {
		t.Fatal(err)
	}
	config, unknown, err := ReadAppConfig(filepath.Join(f.root, DataDirName))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"oidc.own", "own"}, unknown); diff != "" {
		t.Error(diff)
	}
	if config.AppURL != "https://here.example.com" || config.EncryptionKey.Reveal() != keyA || config.SettingsVersion != "3-17" ||
		config.OIDC.Scopes != "" || config.OIDC.ClientID != "heartlock" {
		t.Error("the file holds something else")
	}
	if looserThan0600(filepath.Join(f.root, DataDirName, AppConfigName)) {
		t.Error("others can read the file")
	}
	if s := f.load(); !s.OIDC.Enabled || len(s.Warnings) != 2 {
		t.Errorf("enabled %v, warnings %q", s.OIDC.Enabled, s.Warnings)
	}
}

// TestWithStandsAboveTheEnvironment: the same precedence, field by field, as if
// the file had been written.
func TestWithStandsAboveTheEnvironment(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "OIDC_CLIENT_ID=environment", "OIDC_RP_SCOPES=openid email").env("OIDC_USERINFO_ENDPOINT=https://env/me").
		appConfig(`{"oidc":{"client_id":"file","token_endpoint":"https://file/token"}}`)
	m := Managed{OIDC: AppConfigOIDC{AuthorizationEndpoint: "https://managed/auth"}}
	s, err := f.load().With(m)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, one := range s.Settings() {
		if strings.HasPrefix(one.Managed, "oidc.") && one.Value != "" {
			got[one.Managed] = one.Value + " / " + one.Source
		}
	}
	want := map[string]string{
		"oidc.client_id": "environment / environment", "oidc.scopes": "openid email / OIDC_RP_SCOPES (alias)",
		"oidc.userinfo_endpoint": "https://env/me / .env", "oidc.authorization_endpoint": "https://managed/auth / appconfig.json",
		"oidc.enable": "False / default", "oidc.create_unknown_user": "True / default",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(read(t, f), "https://file/token") {
		t.Error("the file was written")
	}
}

func TestCheckManaged(t *testing.T) {
	t.Parallel()
	s := production(t).load()
	for _, c := range []struct {
		change func(*AppConfigOIDC)
		field  string
		part   string
	}{
		{func(*AppConfigOIDC) {}, "", ""},
		{func(o *AppConfigOIDC) { o.TokenEndpoint = "https://169.254.169.254/token" }, "", ""}, // refused where it is dialled
		{func(o *AppConfigOIDC) { o.TokenEndpoint = "http://idp.example.com/token" }, "body.token_endpoint", "plain http"},
		{func(o *AppConfigOIDC) { o.TokenEndpoint = "file:///etc/passwd" }, "body.token_endpoint", "does not begin with https://"},
		{func(o *AppConfigOIDC) { o.TokenEndpoint = "https://u:p@idp/token" }, "body.token_endpoint", "user name or password"},
		{func(o *AppConfigOIDC) { o.TokenEndpoint = "https://idp/token?x=1" }, "body.token_endpoint", "query"},
		{func(o *AppConfigOIDC) { o.AuthorizationEndpoint = "https://idp/auth?x=1" }, "", ""},
		{func(o *AppConfigOIDC) { o.UserinfoEndpoint = "https://idp/me#x" }, "body.userinfo_endpoint", "fragment"},
		{func(o *AppConfigOIDC) { o.EndSessionEndpoint = "idp" }, "body.end_session_endpoint", "https://"},
		{func(o *AppConfigOIDC) { o.Issuer = "https://" }, "body.issuer", "valid host"},
		{func(o *AppConfigOIDC) { o.Scopes = "email profile" }, "body.scopes", "openid is missing"},
		{func(o *AppConfigOIDC) { o.Scopes = "openid,email" }, "body.scopes", "spaces"},
		{func(o *AppConfigOIDC) { o.RedirectURI = "https://here.example.com/elsewhere/" }, "body.redirect_uri", OIDCCallbackPath},
		{func(o *AppConfigOIDC) { o.RedirectURI = "https://here.example.com/oidc/callback/" }, "", ""},
		{func(o *AppConfigOIDC) { o.ClientID = "a\nb" }, "body.client_id", "control character"},
		{func(o *AppConfigOIDC) { o.ClientSecret = NewSecret(clientCanary + "\x00") }, "body.client_secret", "control character"},
	} {
		m := complete()
		c.change(&m.OIDC)
		err := s.CheckManaged(m)
		if c.field == "" {
			if err != nil {
				t.Errorf("%v", err)
			}
			continue
		}
		e := fault.As(err)
		if e == nil || e.Kind != fault.Invalid || len(e.Fields) != 1 || e.Fields[0].Location != c.field || !strings.Contains(e.Fields[0].Message, c.part) {
			t.Errorf("%s: %v", c.field, err)
		}
		if strings.Contains(fault.Detail(err), clientCanary) {
			t.Errorf("%s: the error holds the secret", c.field)
		}
	}
}

func TestCheckManagedWithOtherSettingsBroken(t *testing.T) {
	t.Parallel()
	f := production(t)
	s := f.load()
	f.env("OIDC_ENABLE=perhaps\nEMAIL_PORT=none")
	if err := s.CheckManaged(complete()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	f := production(t, "ALLOWED_HOSTS=a.example.com", "CSRF_TRUSTED_ORIGINS=https://other.example.com")
	s := f.load()
	f.env("ALLOWED_HOSTS=x.example.com\nEMAIL_HOST=mail.example.com")
	m := complete()
	m.AppURL = "https://new.example.com"
	other, err := s.With(m)
	if err != nil {
		t.Fatal(err)
	}
	if s.SameRunning(other) || !s.SameRunning(s) {
		t.Error("SameRunning is wrong")
	}
	next := s.TakeOver(other)
	if !next.OIDC.Enabled || next.AppURL != "https://new.example.com" || s.AppURL != "" || next.OIDC.RedirectURI != "https://new.example.com/oidc/callback/" {
		t.Error("it was not taken over, or the former settings were changed")
	}
	if diff := cmp.Diff([]string{"https://other.example.com", "https://new.example.com"}, next.Security.CSRFTrustedOrigins.List()); diff != "" {
		t.Error(diff)
	}
	if next.Mail.Host != "" || next.Generation([]byte("k")) == s.Generation([]byte("k")) {
		t.Error("what does not change while a server runs was taken over, or what does is not reported")
	}
	if !next.SameRunning(other) {
		t.Error("they still differ")
	}
}

func TestManagedChanges(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	former, now := complete(), complete()
	former.OIDC.Enable, now.OIDC.Enable = &yes, &no
	now.OIDC.ClientSecret = NewSecret("another " + clientCanary)
	now.OIDC.TokenEndpoint, now.OIDC.Scopes = "", "openid"
	want := map[string]string{"oidc.enable": "False", "oidc.client_secret": "***", "oidc.token_endpoint": "", "oidc.scopes": "openid"}
	if diff := cmp.Diff(want, now.Changes(former)); diff != "" {
		t.Error(diff)
	}
	if changes := now.Changes(now); len(changes) != 0 {
		t.Errorf("%v", changes)
	}
}
