package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/fault"
)

// goodKey is a SECRET_KEY that production accepts.
const goodKey = "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"

// keyA and keyB are encryption keys.
const (
	keyA = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	keyB = "YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI="
)

// fixture is a data root for one test.
type fixture struct {
	t    *testing.T
	root string
	opts Options
}

func newFixture(t *testing.T, environ ...string) *fixture {
	t.Helper()
	root := t.TempDir()
	return &fixture{t: t, root: root, opts: Options{Dir: root, Environ: append([]string{}, environ...)}}
}

// production is a fixture that loads with DEBUG=False.
func production(t *testing.T, environ ...string) *fixture {
	t.Helper()
	return newFixture(t, append([]string{"DEBUG=False", "SECRET_KEY=" + goodKey, "HEARTLOCK_ENCRYPTION_KEY=" + keyA}, environ...)...)
}

func (f *fixture) write(name, content string, mode os.FileMode) *fixture {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		f.t.Fatal(err)
	}
	return f
}

func (f *fixture) env(content string) *fixture { return f.write(".env", content, 0o600) }

func (f *fixture) appConfig(content string) *fixture {
	return f.write(DataDirName+"/"+AppConfigName, content, 0o600)
}

func (f *fixture) load() *Server {
	f.t.Helper()
	s, err := LoadServer(f.opts)
	if err != nil {
		f.t.Fatalf("LoadServer: %v", err)
	}
	return s
}

// fails loads and returns the names of the bad variables and the error's text.
func (f *fixture) fails() (names []string, text string) {
	f.t.Helper()
	s, err := LoadServer(f.opts)
	if err == nil {
		f.t.Fatal("LoadServer accepted it")
	}
	if s != nil {
		f.t.Error("a Server came with the error")
	}
	var errs *Errors
	if !errors.As(err, &errs) || !errors.Is(err, fault.Usage) || fault.KindOf(err).ExitCode() != 2 {
		f.t.Fatalf("the error is not of kind fault.Usage: %T", err)
	}
	for _, p := range errs.Problems {
		names = append(names, strings.TrimPrefix(p.Variable, f.root+string(filepath.Separator)))
	}
	return names, err.Error()
}

func (f *fixture) setting(name string) Setting {
	f.t.Helper()
	for _, s := range f.load().Settings() {
		if s.Name == name {
			return s
		}
	}
	f.t.Fatalf("no setting %s", name)
	return Setting{}
}

func hasWarning(s *Server, parts ...string) bool {
	for _, w := range s.Warnings {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(w, part)
		}
		if all {
			return true
		}
	}
	return false
}

func TestNothingConfigured(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.load()
	if !s.Debug || s.ListenAddress != "127.0.0.1:8082" || !s.SecretKeyInsecure {
		t.Errorf("Debug %v, listen %q, insecure %v", s.Debug, s.ListenAddress, s.SecretKeyInsecure)
	}
	if want := filepath.Join(f.root, "heartlock_data", "db.sqlite3"); s.Database.Path != want {
		t.Errorf("database %q, want %q", s.Database.Path, want)
	}
	if s.EncryptionKey.Source != KeyMayBeGenerated || s.Mail.Backend != MailConsole || s.OIDC.Enabled {
		t.Errorf("key %v, mail %v, OIDC %v", s.EncryptionKey.Source, s.Mail.Backend, s.OIDC.Enabled)
	}
	if s.Security.SSLRedirect || s.Security.SessionCookieSecure || s.Security.HSTSSeconds != 0 || !s.Security.ContentTypeNosniff {
		t.Errorf("security of a development server: %+v", s.Security)
	}
	if len(s.Warnings) != 0 {
		t.Errorf("warnings: %q", s.Warnings)
	}
	if entries, _ := os.ReadDir(f.root); len(entries) != 0 {
		t.Errorf("loading created %v", entries)
	}
}

func TestProductionDefaults(t *testing.T) {
	t.Parallel()
	s := production(t).load()
	want := Security{
		SSLRedirect: true, HSTSSeconds: 2592000, HSTSIncludeSubdomains: true, HSTSPreload: true,
		SessionCookieSecure: true, CSRFCookieSecure: true, ContentTypeNosniff: true,
	}
	got := s.Security
	got.TrustedProxies, got.CORSAllowedOrigins, got.CSRFTrustedOrigins = TrustedProxies{}, Origins{}, Origins{}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Origins{}), cmp.Comparer(func(a, b TrustedProxies) bool { return len(a.Prefixes) == len(b.Prefixes) })); diff != "" {
		t.Errorf("security (-want +got):\n%s", diff)
	}
	if s.ListenAddress != "0.0.0.0:8082" || s.Mail.Backend != MailDisabled || s.EncryptionKey.Source != KeyFromEnvironment {
		t.Errorf("listen %q, mail %q, key %q", s.ListenAddress, s.Mail.Backend, s.EncryptionKey.Source)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const name = "HEARTLOCK_APP_URL"
	for _, c := range []struct {
		title                         string
		flag, file, env, dotenv, want string
		source                        string
		overrides                     []string
	}{
		{title: "default", source: "default"},
		{title: ".env", dotenv: "https://dotenv", want: "https://dotenv", source: ".env"},
		{title: "environment", env: "https://env", dotenv: "https://dotenv", want: "https://env", source: "environment", overrides: []string{".env"}},
		{title: "appconfig.json", file: "https://file", env: "https://env", dotenv: "https://x", want: "https://file", source: "appconfig.json", overrides: []string{"environment", ".env"}},
		{title: "appconfig.json over .env", file: "https://file", dotenv: "https://x", want: "https://file", source: "appconfig.json", overrides: []string{".env"}},
		{title: "flag", flag: "https://flag", file: "https://file", env: "https://env", want: "https://flag", source: "flag", overrides: []string{"appconfig.json", "environment"}},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			if c.flag != "" {
				f.opts.Flags = map[string]string{name: c.flag}
			}
			if c.file != "" {
				f.appConfig(`{"app_url":"` + c.file + `"}`)
			}
			if c.env != "" {
				f.opts.Environ = append(f.opts.Environ, name+"="+c.env)
			}
			if c.dotenv != "" {
				f.env(name + "=" + c.dotenv + "\n")
			}
			got := f.setting(name)
			if got.Value != c.want || got.Source != c.source {
				t.Errorf("%q from %q, want %q from %q", got.Value, got.Source, c.want, c.source)
			}
			if diff := cmp.Diff(c.overrides, got.Overrides); diff != "" {
				t.Errorf("overrides (-want +got):\n%s", diff)
			}
			if f.load().AppURL != c.want {
				t.Errorf("AppURL = %q", f.load().AppURL)
			}
		})
	}
}

func TestEnvironmentMasksDotenvEvenWhenEmpty(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "EMAIL_HOST=", "OIDC_CLIENT_ID=", "OIDC_RP_CLIENT_ID=alias").env("EMAIL_HOST=smtp.example.com\nOIDC_CLIENT_ID=dotenv\n")
	s := f.load()
	if s.Mail.Host != "" {
		t.Errorf("the .env file spoke where the environment said unset: %q", s.Mail.Host)
	}
	if s.OIDC.ClientID != "alias" {
		t.Errorf("OIDC client ID %q, want the alias", s.OIDC.ClientID)
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	for _, d := range Definitions() {
		for _, alias := range d.Aliases {
			t.Run(alias, func(t *testing.T) {
				t.Parallel()
				value := map[string]string{"URL": "https://idp.example.com/x", "text": "value", "space-separated list": "openid x"}[d.Kind]
				got := newFixture(t, alias+"="+value).setting(d.Name)
				if got.Source != alias+" (alias)" || !d.Secret && got.Value != value {
					t.Errorf("%q from %q", got.Value, got.Source)
				}
				canonical := "https://idp.example.com/y"
				if d.Kind != "URL" {
					canonical = "openid y"
				}
				f := newFixture(t, alias+"="+value, d.Name+"="+canonical)
				if got := f.setting(d.Name); got.Source != "environment" {
					t.Errorf("the alias won: %q", got.Source)
				}
				if !hasWarning(f.load(), d.Name, alias) {
					t.Errorf("no warning about two names with different values: %q", f.load().Warnings)
				}
				if s := newFixture(t, alias+"="+value, d.Name+"="+value).load(); hasWarning(s, alias) {
					t.Error("a warning although both are equal")
				}
			})
		}
	}
}

func TestAllBadVariablesAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "DEBUG=enabled", "ALLOWED_HOSTS=a.com:80", "EMAIL_PORT=abc", "DATABASE_URL=mysql://u:p@h/db").
		env("OK=1\nnot a line\nEMAIL_TIMEOUT=6.5\nSECRET_KEY='unclosed\n").
		appConfig(`{"app_url": 7}`)
	names, text := f.fails()
	want := []string{".env", ".env", "heartlock_data/appconfig.json", "DEBUG", "ALLOWED_HOSTS", "DATABASE_URL", "EMAIL_PORT", "EMAIL_TIMEOUT"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("bad variables (-want +got):\n%s\n%s", diff, text)
	}
	if lines := strings.Count(text, "\n") + 1; lines != len(want) {
		t.Errorf("%d lines for %d problems:\n%s", lines, len(want), text)
	}
	for _, part := range []string{"line 2: it is not NAME=value", "line 4: the quote is not closed", "EMAIL_TIMEOUT (.env, line 3)", "the scheme mysql", "write a.com"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

func TestEnvFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t).write("other.env", "EMAIL_PORT=25\n", 0o600).env("EMAIL_PORT=26\n")
	f.opts.EnvFile, f.opts.EnvFileSet = "other.env", true
	if port := f.load().Mail.Port; port != 25 {
		t.Errorf("port %d", port)
	}
	f.opts.EnvFile = "missing.env"
	if names, _ := f.fails(); len(names) != 1 || names[0] != "missing.env" {
		t.Errorf("bad: %q", names)
	}
	f.opts.EnvFile, f.opts.EnvFileSet = "", false
	if err := os.Remove(filepath.Join(f.root, ".env")); err != nil {
		t.Fatal(err)
	}
	f.load() // a missing .env is fine
	if err := os.Mkdir(filepath.Join(f.root, ".env"), 0o700); err != nil {
		t.Fatal(err)
	}
	if names, _ := f.fails(); len(names) != 1 || names[0] != ".env" {
		t.Errorf("bad: %q", names)
	}
}

func TestAliasInTheEnvironmentBeatsTheDotenvFile(t *testing.T) {
	t.Parallel()
	got := newFixture(t, "OIDC_RP_CLIENT_ID=env").env("OIDC_CLIENT_ID=dotenv\n").setting(varOIDCClientID)
	if got.Value != "env" || got.Source != "OIDC_RP_CLIENT_ID (alias)" || !cmp.Equal(got.Overrides, []string{".env"}) {
		t.Errorf("%q from %q over %q", got.Value, got.Source, got.Overrides)
	}
}

func TestDollarIsLiteral(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "EMAIL_HOST_USER=$OTHER", "OTHER=x", "EMAIL_HOST_PASSWORD=${OTHER}").env("OIDC_CLIENT_ID=$HOME\n")
	s := f.load()
	if s.Mail.User != "$OTHER" || s.Mail.Password.Reveal() != "${OTHER}" || s.OIDC.ClientID != "$HOME" {
		t.Error("a dollar sign was expanded")
	}
}

func TestUnknownHeartlockVariableIsNamed(t *testing.T) {
	t.Parallel()
	s := newFixture(t, "HEARTLOCK_APP_ULR=https://x", "HEARTLOCK_SERVER=https://x", "HEARTLOCK_TEST_CRASH_AT=1").load()
	if !hasWarning(s, "HEARTLOCK_APP_ULR") || len(s.Warnings) != 1 {
		t.Errorf("warnings: %q", s.Warnings)
	}
}

func TestFlagThatIsNoSetting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.opts.Flags = map[string]string{"NOPE": "1"}
	if names, _ := f.fails(); len(names) != 1 || names[0] != "NOPE" {
		t.Errorf("bad: %q", names)
	}
}
