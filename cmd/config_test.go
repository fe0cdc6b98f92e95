package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/config"
)

// write puts a file into the shell's directory.
func (s *shell) write(name, content string) *shell {
	s.t.Helper()
	path := filepath.Join(s.cli.workDir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	writeFile(s.t, path, content, 0o600)
	return s
}

// setting asks for one setting.
func (s *shell) setting(name string) config.Setting {
	s.t.Helper()
	got := s.run("", "config", name, "--json")
	var setting config.Setting
	if err := json.Unmarshal([]byte(got.stdout), &setting, json.RejectUnknownMembers(true)); err != nil || got.code != 0 || got.stderr != "" {
		s.t.Fatalf("config %s: %+v (%v)", name, got, err)
	}
	return setting
}

func TestConfigSaysWhichSourceCounts(t *testing.T) {
	t.Parallel()
	layers := func(layers ...string) *shell {
		var environ []string
		for _, layer := range layers {
			if layer == "environment" {
				environ = append(environ, "HEARTLOCK_APP_URL=https://environment")
			}
		}
		s := newShell(t, environ...)
		for _, layer := range layers {
			switch layer {
			case ".env":
				s.write(".env", "HEARTLOCK_APP_URL=https://dotenv\n")
			case "appconfig.json":
				s.write("heartlock_data/appconfig.json", `{"app_url":"https://file"}`)
			}
		}
		return s
	}
	for _, c := range []struct {
		shell     *shell
		value     string
		source    string
		overrides []string
	}{
		{layers(), "", "default", []string{}},
		{layers(".env"), "https://dotenv", ".env", []string{}},
		{layers(".env", "environment"), "https://environment", "environment", []string{".env"}},
		{layers(".env", "environment", "appconfig.json"), "https://file", "appconfig.json", []string{"environment", ".env"}},
		{layers(".env", "appconfig.json"), "https://file", "appconfig.json", []string{".env"}},
	} {
		got := c.shell.setting("HEARTLOCK_APP_URL")
		if got.Value != c.value || got.Source != c.source {
			t.Errorf("%q from %q, want %q from %q", got.Value, got.Source, c.value, c.source)
		}
		if diff := cmp.Diff(c.overrides, got.Overrides); diff != "" {
			t.Errorf("%s overrides (-want +got):\n%s", c.source, diff)
		}
	}
	// Only the managed subset is read from appconfig.json.
	s := newShell(t, "EMAIL_PORT=25").write("heartlock_data/appconfig.json", `{"email_port":26}`)
	if got := s.setting("EMAIL_PORT"); got.Value != "25" || got.Source != "environment" {
		t.Errorf("%+v", got)
	}
}

func TestConfigListsEverySettingInOneLine(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	got := s.run("", "config")
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if got.code != 0 || got.stderr != "" || len(lines) != 1+len(config.Definitions()) {
		t.Fatalf("%d lines: %+v", len(lines), got)
	}
	for i, d := range config.Definitions() {
		if !strings.HasPrefix(lines[i+1], d.Name+" ") {
			t.Errorf("line %d is %q, want %s", i+2, lines[i+1], d.Name)
		}
	}
	if entries, _ := os.ReadDir(s.cli.workDir); len(entries) != 0 {
		t.Errorf("it made %v", entries)
	}
}

func TestConfigShowsWhatIsSet(t *testing.T) {
	t.Parallel()
	s := newShell(t, "OIDC_RP_CLIENT_ID=id", "EMAIL_HOST=", "SECRET_KEY="+testSecretKey).write(".env", "SECRET_KEY=x\nALLOWED_HOSTS= A.example.com , b.example.com\n")
	got := s.run("", "config", "--set")
	want := strings.TrimLeft(`
NAME            SOURCE                     OVERRIDES  VALUE
SECRET_KEY      environment                .env       ***
ALLOWED_HOSTS   .env                                  a.example.com,b.example.com
OIDC_CLIENT_ID  OIDC_RP_CLIENT_ID (alias)             id
`, "\n")
	if diff := cmp.Diff(result{0, want, ""}, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Error(diff)
	}
	if got := newShell(t).run("", "config", "--set", "--json"); got != (result{0, "[]\n", ""}) {
		t.Errorf("nothing set: %+v", got)
	}
	if got := s.setting("oidc_rp_client_id"); got.Name != "OIDC_CLIENT_ID" {
		t.Errorf("an alias gives %+v", got)
	}
}

func TestConfigExplainsASetting(t *testing.T) {
	t.Parallel()
	got := newShell(t, "DATABASE_URL=postgres://u:"+leak+"@h/db").run("", "config", "DATABASE_URL")
	want := strings.TrimLeft(`
NAME     DATABASE_URL
VALUE    postgres://u:***@h/db
SOURCE   environment
DEFAULT  sqlite:///heartlock_data/db.sqlite3
TYPE     URL
MANAGED  database_url in appconfig.json
ABOUT    The database: sqlite:///path below the working directory, sqlite:////absolute/path, or postgres://user:password@host:5432/name.
`, "\n")
	if diff := cmp.Diff(result{0, want, ""}, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Error(diff)
	}
}

func TestConfigNeverShowsASecret(t *testing.T) {
	t.Parallel()
	environ := productionEnviron("DATABASE_URL=postgres://u:"+leak+"@h/db?options=-c%20search_path%3Dx", "SECRET_KEY_FALLBACKS="+leak+strings.Repeat("abcdefghij", 5),
		"OIDC_CLIENT_SECRET="+leak, "EMAIL_HOST_PASSWORD="+leak, "HEARTLOCK_TOKEN=hlp_"+leak)
	s := newShell(t, environ...).
		write(".env", "OIDC_RP_CLIENT_SECRET="+leak+"\nHEARTLOCK_ENCRYPTION_KEY="+otherKey+"\n").
		write("heartlock_data/appconfig.json", `{"encryption_key":"`+testEncryptionKey+`","previous_encryption_keys":["`+otherKey+`"],"oidc":{"client_secret":"`+leak+`"}}`)
	calls := [][]string{{"config"}, {"config", "--json"}, {"config", "--set"}, {"check"}, {"check", "--deploy", "--json"}}
	for _, d := range config.Definitions() {
		calls = append(calls, []string{"config", d.Name}, []string{"config", d.Name, "--json"})
	}
	for _, args := range calls {
		got := s.run("", args...)
		for _, secret := range []string{leak, testSecretKey, testEncryptionKey, otherKey} {
			if strings.Contains(got.stdout+got.stderr, secret) {
				t.Errorf("%v shows a secret: %+v", args, got)
			}
		}
	}
	if got := s.setting("HEARTLOCK_ENCRYPTION_KEY"); got.Value != "*** (key 861009ec, then 03ac7cbf)" {
		t.Errorf("%+v", got)
	}
}

func TestConfigRefusesWhatIsNoSetting(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"DATABASE":                 "There is no setting DATABASE. Did you mean DATABASE_URL?",
		"HEARTLOCK_DATABASE_URL":   "There is no setting HEARTLOCK_DATABASE_URL. Did you mean DATABASE_URL?",
		"nothing":                  "There is no setting NOTHING. `heartlock config` lists them all.",
		"DATABASE_URL=x:" + leak:   "There is no such setting.",
		leak + "1":                 "There is no such setting.",
		strings.Repeat("LONG", 20): "There is no such setting.",
	} {
		got := newShell(t).run("", "config", name)
		if got.code != 5 || got.stdout != "" || !strings.Contains(got.stderr, want) || strings.Contains(got.stderr, leak) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := newShell(t).run("", "config", "DEBUG", "ALLOWED_HOSTS"); got.code != 2 || !strings.Contains(got.stderr, "at most one name") {
		t.Errorf("%+v", got)
	}
	if got := newShell(t).run("", "__complete", "config", "OIDC_C"); !strings.Contains(got.stdout, "OIDC_CLIENT_ID\n") {
		t.Errorf("completion: %+v", got)
	}
}
