package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ready is a server that DeployFindings has nothing against.
var ready = []string{
	"ALLOWED_HOSTS=hl.example.com", "HEARTLOCK_APP_URL=https://hl.example.com", "SECURE_HSTS_SECONDS=31536000", "EMAIL_HOST=smtp",
	"DATABASE_URL=postgres://u:" + canary + "@db/heartlock?sslmode=verify-full",
}

func TestDeployFindings(t *testing.T) {
	t.Parallel()
	if findings := production(t, ready...).load().DeployFindings(); len(findings) != 0 {
		t.Fatalf("a good server: %v", findings)
	}
	for change, want := range map[string][]string{
		"ALLOWED_HOSTS=*":                                         {varAllowedHosts},
		"ALLOWED_HOSTS=,":                                         {varAllowedHosts},
		"HEARTLOCK_APP_URL=":                                      {varAppURL},
		"HEARTLOCK_APP_URL=http://h":                              {varAppURL},
		"HEARTLOCK_ENCRYPTION_KEY=":                               {varEncryptionKey},
		"SECURE_SSL_REDIRECT=False":                               {varSSLRedirect},
		"SECURE_HSTS_SECONDS=0":                                   {varHSTSSeconds},
		"SECURE_HSTS_SECONDS=2592000":                             {varHSTSSeconds},
		"HEARTLOCK_TRUSTED_PROXIES=::/0":                          {varTrustedProxies},
		"DATABASE_URL=postgres://u:" + canary + "@db/h":           {varDatabaseURL},
		"DATABASE_URL=postgres://u@db/h?sslmode=disable":          {varDatabaseURL},
		"DATABASE_URL=postgres://u@localhost/h":                   nil,
		"DATABASE_URL=postgres:///h":                              nil,
		"DATABASE_URL=":                                           nil,
		"EMAIL_HOST=":                                             {varEmailHost},
		"EMAIL_BACKEND=console":                                   {varEmailBackend},
		"EMAIL_USE_TLS=False":                                     {varEmailTLS},
		"EMAIL_HOST_PASSWORD=" + canary:                           {varEmailUser},
		"OIDC_ENABLE=True":                                        {varOIDCEnable},
		"DEBUG=True":                                              {varDebug, varSSLRedirect, varSessionSecure, varCSRFSecure},
		"SECRET_KEY_FALLBACKS=" + strings.Repeat(goodKey+"é,", 3): nil,
	} {
		// The first of two equal names in the environment counts.
		findings := newFixture(t, append(append([]string{change}, production(t).opts.Environ...), ready...)...).load().DeployFindings()
		var names []string
		for _, f := range findings {
			names = append(names, f.Variable)
			if strings.Contains(f.Message, canary) {
				t.Errorf("%s: a finding holds a secret", change)
			}
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %q", change, findings, want)
		}
	}
}

func TestDeployFindingsOnFiles(t *testing.T) {
	t.Parallel()
	f := production(t, ready...).write(DataDirName+"/db.sqlite3-wal", "", 0o640).write(DataDirName+"/appconfig.json", "{}", 0o604).write(DataDirName+"/secret.key", keyA, 0o600).write(".env", "", 0o644)
	if err := os.Chmod(filepath.Join(f.root, DataDirName), 0o755); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, finding := range f.load().DeployFindings() {
		name, _ := filepath.Rel(f.root, finding.Variable)
		names = append(names, name)
	}
	if want := []string{"heartlock_data", ".env", "heartlock_data/appconfig.json", "heartlock_data/db.sqlite3-wal"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestDatabaseURLFromWizard(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	data := filepath.Join(root, DataDirName)
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"out": "/etc", "dangling": "/etc/heartlock-nowhere.db", "in": "."} {
		if err := os.Symlink(target, filepath.Join(data, link)); err != nil {
			t.Fatal(err)
		}
	}
	for url, ok := range map[string]bool{
		"sqlite:///heartlock_data/db.sqlite3":                                       true,
		"sqlite:///heartlock_data/sub/db.sqlite3":                                   true,
		"sqlite:///heartlock_data/in/db.sqlite3":                                    true,
		"sqlite:///" + data + "/db.sqlite3":                                         true,
		"sqlite:////etc/cron.d/x":                                                   false,
		"sqlite:///db.sqlite3":                                                      false,
		"sqlite:///heartlock_data":                                                  false,
		"sqlite:///heartlock_data/../x.db":                                          false,
		"sqlite:///heartlock_data/%2e%2e/x.db":                                      false,
		"sqlite:///heartlock_data2/x.db":                                            false,
		"sqlite:///heartlock_data/out/x.db":                                         false,
		"sqlite:///heartlock_data/dangling":                                         false,
		"sqlite:///heartlock_data/appconfig.json":                                   false,
		"sqlite:///heartlock_data/secret.key":                                       false,
		"sqlite:///heartlock_data/.lock":                                            false,
		"sqlite://:memory:":                                                         false,
		"postgres://u:p@h/db":                                                       true,
		"postgres://u:p@h/db?sslmode=verify-full&sslrootcert=heartlock_data/ca.pem": true,
		"postgres://u:p@h/db?sslrootcert=/etc/passwd":                               false,
		"postgres://u:p@h/db?sslrootcert=heartlock_data/out/passwd":                 false,
		"postgres://u:p@h/db?sslkey=heartlock_data/a&sslcert=heartlock_data/b":      false,
		"postgres://u:p@h/db?passfile=heartlock_data/a":                             false,
		"postgres://u:p@h/db?service=x":                                             false,
		"postgres:///db":                                                            false,
		"postgres:////run/postgresql/db":                                            false,
		"postgres://%2Frun%2Fpostgresql/db":                                         false,
		"postgres:///db?host=/run/postgresql":                                       false,
		"mysql://u:p@h/db":                                                          false,
	} {
		if _, err := ParseDatabaseURLFromWizard(url, root); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestDefinitions: what the documentation is made of is complete.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	var app AppConfig
	keys := map[string]bool{}
	for _, f := range app.fields() {
		keys[f.key] = f.list == nil
	}
	for _, f := range app.OIDC.fields() {
		keys[oidcKey+"."+f.key] = true
	}
	seen := map[string]bool{}
	for i, d := range Definitions() {
		if i == 0 && d.Name != varDebug {
			t.Error("DEBUG is not the first: other defaults depend on it")
		}
		for _, name := range append([]string{d.Name}, d.Aliases...) {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
		if d.Group == "" || d.Kind == "" || d.read == nil || !strings.HasSuffix(d.Doc, ".") {
			t.Errorf("%s is incomplete", d.Name)
		}
		if d.Managed != "" && !keys[d.Managed] {
			t.Errorf("%s: appconfig.json has no %s", d.Name, d.Managed)
		}
		delete(keys, d.Managed)
	}
	delete(keys, "previous_encryption_keys")
	delete(keys, "settings_version") // of the file itself
	if len(keys) != 0 {
		t.Errorf("keys of appconfig.json that are no setting: %v", keys)
	}
	s := newFixture(t).load()
	if len(s.Settings()) != len(Definitions()) {
		t.Errorf("%d settings are reported", len(s.Settings()))
	}
}
