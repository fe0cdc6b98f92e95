package cmd

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// leak stands in the place of every secret; no output may hold it.
const leak = "hunter2canary"

const (
	testSecretKey     = "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghij"
	testEncryptionKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	otherKey          = "YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI="
)

// productionEnviron is what a production server needs at least.
func productionEnviron(more ...string) []string {
	return append(more, "DEBUG=False", "SECRET_KEY="+testSecretKey, "HEARTLOCK_ENCRYPTION_KEY="+testEncryptionKey)
}

// badSettings are values with which a server must not start. All of them are
// tried; those of a name are separate tries.
func badSettings() map[string][]string {
	const endpoint = "https://idp.example.com/x"
	return map[string][]string{
		"DEBUG":                           {"t", "T", "enabled", "truee", "1.0", "'true'", "true # c", "f"},
		"ALLOWED_HOSTS":                   {"*.example.com", "example.com:8000", "example.com.", "https://example.com", "::1", "a.com b.com", "a.com;b.com", `["a.com"]`, "'a.com'", "[fe80::1%eth0]"},
		"HEARTLOCK_LISTEN":                {"8082", "h:99999", "http://h:1", "::1:80"},
		"HEARTLOCK_APP_URL":               {"h", "//h", "https://" + leak + "@h", "https://h/path", "https://h/x?y", "ftp://h", "https://"},
		"HEARTLOCK_DISABLE_ONBOARDING":    {"t"},
		"HEARTLOCK_INVITE_EXPIRY_DAYS":    {"0", "-1", "366", "7.5", "abc"},
		"HEARTLOCK_HISTORY_VERSIONS":      {"-1", "1000001", "all", "2.5"},
		"HEARTLOCK_REQUIRE_SECOND_FACTOR": {"yes", "all", "superuser", "none,everyone"},
		"HEARTLOCK_HISTORY_DAYS":          {"-1", "36501", "30d", "never"},
		"HEARTLOCK_AUDIT_DAYS":            {"-1", "36501", "30d", "never"},
		"HEARTLOCK_BACKUP_INTERVAL":       {"59", "31536001", "24h", "daily"},
		"HEARTLOCK_BACKUP_KEEP":           {"0", "1001", "all"},
		"DB_CONN_MAX_AGE":                 {"-1", "6.5", "abc", "１０"},
		"SECURE_SSL_REDIRECT":             {"True # x"},
		"SECURE_HSTS_SECONDS":             {"-1", "1y"},
		"SECURE_HSTS_INCLUDE_SUBDOMAINS":  {"enabled"},
		"SESSION_COOKIE_SECURE":           {"t"},
		"HEARTLOCK_TRUSTED_PROXIES":       {"*", "10.0.0.1/8", "proxy.example.com"},
		"CORS_ALLOWED_ORIGINS":            {"*", "null", "app.example.com", "https://*.a.com", "https://app.example.com/x"},
		"CSRF_TRUSTED_ORIGINS":            {"*", "null", "https://*", "https://a.*", "app.example.com"},
		"DATABASE_URL": {
			"sqlite://", "sqlite:///", "sqlite://x.db", "sqlite:x.db", "sqlite:/abs/x", "sqlite:///x.db?journal=off", "sqlite:///x.db?synchronous=off",
			"mysql://u:" + leak + "@h/db", "postgresql+psycopg://u:" + leak + "@h/db", `"postgres://u:` + leak + `@h/db"`, "postgres://u:" + leak + "@h/db ",
			"postgres://u:" + leak + "/x@h/db", "postgres://u:" + leak + "?x@h/db", "postgres://u:" + leak + "@h:port/db", "postgres://u:" + leak + "@h:99999/db",
			"postgres://u:" + leak + "@h/db?sslmode=require&sslmode=disable", "postgres://u:" + leak + "@h/db?sslmode=maybe", "postgres://u:" + leak + "@h/db?fsync=off",
			leak, "u:" + leak + "@h/db",
		},
		"HEARTLOCK_ENCRYPTION_KEY": {
			leak, strings.TrimSuffix(testEncryptionKey, "="), strings.Repeat("0a", 32), strings.Repeat("A", 43) + "=", testEncryptionKey + "," + testEncryptionKey, testEncryptionKey + "," + leak,
		},
		"OIDC_ENABLE":                 {"maybe"},
		"OIDC_CREATE_UNKNOWN_USER":    {"no!"},
		"OIDC_SCOPES":                 {"openid,email", "email profile"},
		"OIDC_AUTHORIZATION_ENDPOINT": {"idp", "https://idp/x#f", "https://u:" + leak + "@idp/x"},
		"OIDC_TOKEN_ENDPOINT":         {endpoint + "?q=1", "ftp://idp/x", "https://u:" + leak + "@idp/x"},
		"OIDC_USERINFO_ENDPOINT":      {"/me"},
		"OIDC_REDIRECT_URI":           {"/oidc/callback/", "https://h/other/", "https://h/oidc/callback/?x"},
		"EMAIL_BACKEND":               {"app.mail.EmailBackend", "smtp"},
		"EMAIL_HOST":                  {"smtp.example.com:587", "https://smtp"},
		"EMAIL_PORT":                  {"0", "65536", "abc", "6.5"},
		"EMAIL_TIMEOUT":               {"0", "121", "6.5"},
		"EMAIL_USE_SSL":               {"t"},
		"DEFAULT_FROM_EMAIL":          {"Heartlock ", "a@b.co, c@d.co", "x\r\nBcc: y@z", "nobody"},
	}
}

// refusal runs a command that must not start: exit code 2, nothing on standard
// output, nothing made, and on standard error one line for each of the variables.
func refusal(t *testing.T, s *shell, variables []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // should it start after all
	defer cancel()
	s.ctx = ctx
	before := listing(t, s.cli.workDir)
	got := s.run("", args...)
	if got.code != 2 || got.stdout != "" {
		t.Errorf("%v with %q: exit code %d, standard output %q", args, s.cli.environ, got.code, got.stdout)
	}
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(got.stderr, "heartlock: "), "\n"), "\n")
	var named []string
	for _, line := range lines {
		if i := strings.IndexAny(line, " :"); i >= 0 {
			line = line[:i]
		}
		named = append(named, strings.TrimPrefix(line, s.cli.workDir+string(filepath.Separator)))
	}
	slices.Sort(named)
	if diff := cmp.Diff(variables, named); diff != "" {
		t.Errorf("%v with %q named other variables (-want +got):\n%s", args, s.cli.environ, diff)
	}
	if strings.Contains(got.stderr, leak) || strings.Contains(got.stderr, testSecretKey) || strings.Contains(got.stderr, testEncryptionKey[:30]) {
		t.Errorf("%v: a secret was printed: %q", args, got.stderr)
	}
	if diff := cmp.Diff(before, listing(t, s.cli.workDir)); diff != "" {
		t.Errorf("%v changed the directory:\n%s", args, diff)
	}
}

// listing is everything below a directory, with modes, sizes and times.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all = append(all, strings.Join([]string{path, info.Mode().String(), info.ModTime().String()}, " "))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBadSettingsStopEveryServerCommand(t *testing.T) {
	t.Parallel()
	commands := [][]string{{"serve"}, {"check"}, {"config"}, {"migrate"}, {"onboard", "--yes", "--email", "a@example.com", "--password-stdin"}}
	for name, values := range badSettings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, value := range values {
				s := newShell(t, name+"="+value)
				refusal(t, s, []string{name}, "serve")
				refusal(t, s, []string{name}, "check")
				refusal(t, s, []string{name}, commands[i%len(commands)]...)
			}
		})
	}
}

// The traps that take more than one variable, or a file.
func TestBadCombinationsStopTheServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		files   map[string]string
		want    []string
	}{
		"production without SECRET_KEY":           {environ: []string{"DEBUG=False", "HEARTLOCK_ENCRYPTION_KEY=" + testEncryptionKey}, want: []string{"SECRET_KEY"}},
		"production with an empty SECRET_KEY":     {environ: productionEnviron("SECRET_KEY="), want: []string{"SECRET_KEY"}},
		"production with the built-in key":        {environ: productionEnviron("SECRET_KEY=django-insecure-dev-key-change-me-in-production"), want: []string{"SECRET_KEY"}},
		"production with 49 characters":           {environ: productionEnviron("SECRET_KEY=" + leak + strings.Repeat("x", 49-len(leak))), want: []string{"SECRET_KEY"}},
		"production with two different letters":   {environ: productionEnviron("SECRET_KEY=" + strings.Repeat("a", 49) + "b"), want: []string{"SECRET_KEY"}},
		"DEBUG with a space behind":               {environ: []string{"DEBUG=False "}, want: []string{"SECRET_KEY"}},
		"a weak fallback":                         {environ: productionEnviron("SECRET_KEY_FALLBACKS=" + leak), want: []string{"SECRET_KEY_FALLBACKS"}},
		"production in memory":                    {environ: productionEnviron("DATABASE_URL=sqlite://:memory:"), want: []string{"DATABASE_URL"}},
		"both kinds of TLS":                       {environ: []string{"EMAIL_USE_TLS=True", "EMAIL_USE_SSL=True"}, want: []string{"EMAIL_USE_TLS"}},
		"an endpoint over plain http":             {environ: productionEnviron("OIDC_TOKEN_ENDPOINT=http://idp.example.com/"), want: []string{"OIDC_TOKEN_ENDPOINT"}},
		"a bad alias":                             {environ: []string{"OIDC_OP_USER_ENDPOINT=idp"}, want: []string{"OIDC_USERINFO_ENDPOINT"}},
		"many at once":                            {environ: []string{"DEBUG=t", "EMAIL_PORT=x", "DATABASE_URL=mysql://u:" + leak + "@h/d", "ALLOWED_HOSTS=::1"}, want: []string{"ALLOWED_HOSTS", "DATABASE_URL", "DEBUG", "EMAIL_PORT"}},
		"in .env":                                 {files: map[string]string{".env": "EMAIL_PORT=x\n"}, want: []string{"EMAIL_PORT"}},
		".env with a line that is none":           {files: map[string]string{".env": "A=1\n" + leak + "\n"}, want: []string{".env"}},
		".env with an open quote":                 {files: map[string]string{".env": "SECRET_KEY=\"" + leak + "\n"}, want: []string{".env"}},
		"appconfig.json that is no JSON":          {files: map[string]string{"heartlock_data/appconfig.json": `{"encryption_key":"` + leak}, want: []string{"heartlock_data/appconfig.json"}},
		"appconfig.json with a wrong type":        {files: map[string]string{"heartlock_data/appconfig.json": `{"database_url":5}`}, want: []string{"heartlock_data/appconfig.json"}},
		"appconfig.json with a bad value":         {files: map[string]string{"heartlock_data/appconfig.json": `{"database_url":"mysql://u:` + leak + `@h/d"}`}, want: []string{"DATABASE_URL"}},
		"appconfig.json with a name twice":        {files: map[string]string{"heartlock_data/appconfig.json": `{"app_url":"https://a","app_url":"https://b"}`}, want: []string{"heartlock_data/appconfig.json"}},
		"a key file that is none":                 {files: map[string]string{"heartlock_data/secret.key": leak}, want: []string{"heartlock_data/secret.key"}},
		"appconfig.json wins, though it is worse": {environ: []string{"DATABASE_URL=sqlite:///good.db"}, files: map[string]string{"heartlock_data/appconfig.json": `{"database_url":"sqlite://"}`}, want: []string{"DATABASE_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t, c.environ...)
			for file, content := range c.files {
				path := filepath.Join(s.cli.workDir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				writeFile(t, path, content, 0o600)
			}
			for _, command := range []string{"serve", "check", "config"} {
				refusal(t, s, c.want, command)
			}
		})
	}
}

func TestAMissingEnvFileThatWasAskedFor(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	refusal(t, s, []string{"nowhere"}, "check", "--env-file", "nowhere")
}
