package cmd

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/diagnosis"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// installation is a server's directory that has been set up, with its database
// at hand.
type installation struct {
	*shell
	db   *sql.DB
	ring *keyring.Ring
}

// install sets a development server up, on PostgreSQL if url is not empty.
func install(t *testing.T, url string) *installation {
	t.Helper()
	s := newShell(t)
	if url != "" {
		s.cli.environ = append(s.cli.environ, "DATABASE_URL="+url)
	}
	if got := s.run(ownerPassword, "onboard", "--yes", "--email", "ann@example.com", "--password-stdin"); got.code != 0 || got.stdout != "" {
		t.Fatalf("onboard: %+v", got)
	}
	text, err := os.ReadFile(filepath.Join(s.cli.workDir, "heartlock_data", "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := keyring.ParseKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.NewRing(key)
	if err != nil {
		t.Fatal(err)
	}
	return &installation{s, openDatabase(t, s, url), ring}
}

func openDatabase(t *testing.T, s *shell, url string) *sql.DB {
	t.Helper()
	driver, name := "pgx", url
	if url == "" {
		driver, name = "sqlite", "file:"+s.databaseFile()+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(0) // SQLite's files are as nobody has them open
	t.Cleanup(func() { db.Close() })
	return db
}

func (s *shell) databaseFile() string {
	return filepath.Join(s.cli.workDir, "heartlock_data", "db.sqlite3")
}

func (i *installation) exec(statement string) {
	i.t.Helper()
	if _, err := i.db.Exec(statement); err != nil {
		i.t.Fatalf("%s: %v", statement, err)
	}
}

// seal is a sealed value and its key's fingerprint, as SQL.
func (i *installation) seal(value string) string {
	i.t.Helper()
	token, fingerprint, err := i.ring.Seal([]byte(value))
	if err != nil {
		i.t.Fatal(err)
	}
	return fmt.Sprintf("'%s', '%s'", token, fingerprint)
}

// fill stores a project with one environment and two secrets, one of which has a
// former version. The arguments are what seal gives.
func (i *installation) fill(a, b, formerB string) {
	i.t.Helper()
	i.exec(`INSERT INTO projects VALUES ('p1', 'shop', 'Shop', '', 1, 1)`)
	i.exec(`INSERT INTO environments (id, project_id, slug, name, position, is_protected, revision, secret_count, created_at, updated_at)
	        SELECT 'e1', 'p1', 'production', 'Production', 1, (1 = 0), 2, 2, 1, 1`)
	const columns = `(environment_id, key, sealed, key_fingerprint, version, comment, revision, created_at, updated_at, updated_by_kind, updated_by_id, updated_by_name)`
	i.exec(`INSERT INTO secrets ` + columns + ` VALUES ('e1', 'A', ` + a + `, 1, '', 1, 1, 1, '', '', '')`)
	i.exec(`INSERT INTO secrets ` + columns + ` VALUES ('e1', 'B', ` + b + `, 2, '', 1, 1, 1, '', '', '')`)
	i.exec(`INSERT INTO secret_versions (secret_id, version, key, comment, sealed, key_fingerprint, revision, updated_at, updated_by_kind, updated_by_id, updated_by_name)
	        SELECT id, 1, 'B', '', ` + formerB + `, 1, 1, '', '', '' FROM secrets WHERE key = 'B'`)
}

// finds runs check, which must find exactly the lines that begin so, and change
// nothing.
func (s *shell) finds(want []string, args ...string) {
	s.t.Helper()
	before := s.contents()
	got := s.run("", append([]string{"check"}, args...)...)
	var found []string
	for _, line := range strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n") {
		if line != "" && !strings.HasPrefix(line, "ok  ") {
			found = append(found, line)
		}
	}
	code := min(len(want), 1)
	if got.code != code || len(found) != len(want) {
		s.t.Fatalf("check %v: exit code %d, want %d and %q:\n%s%s", args, got.code, code, want, got.stdout, got.stderr)
	}
	for i, line := range found {
		if !strings.HasPrefix(line, want[i]) {
			s.t.Errorf("check %v:\n%s\nwant\n%s", args, line, want[i])
		}
	}
	if (got.stderr == "Nothing is wrong.\n") != (len(want) == 0) {
		s.t.Errorf("check %v says %q", args, got.stderr)
	}
	if diff := cmp.Diff(before, s.contents()); diff != "" {
		s.t.Errorf("check %v changed the files (-before +after):\n%s", args, diff)
	}
}

// contents are the files below the directory with their modes and bytes.
func (s *shell) contents() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	err := filepath.Walk(s.cli.workDir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = info.Mode().String() + " " + string(data)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func TestCheckMakesNothing(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, args := range [][]string{nil, {"--decrypt-all"}, {"--json"}, {"--deploy"}} {
		got := s.run("", append([]string{"check"}, args...)...)
		if got.code != 1 || !strings.Contains(got.stdout, "There is no database at "+s.databaseFile()+" yet.") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if entries, _ := os.ReadDir(s.cli.workDir); len(entries) != 0 {
		t.Errorf("it made %v", entries)
	}
}

func TestCheckFindsNothingOnAGoodInstallation(t *testing.T) {
	t.Parallel()
	for name, url := range engines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t, url)
			i.finds(nil)
			i.fill(i.seal("one"), i.seal(""), i.seal("two"))
			i.finds(nil)
			i.finds(nil, "--decrypt-all")
			got := i.run("", "check", "--decrypt-all")
			for _, want := range []string{
				"ok       settings: all valid\n", "ok       schema: version 4, which is this program's\n", "ok       set-up: finished on ",
				"ok       encryption key: " + i.ring.SealFingerprint() + " from secret.key, which is the database's\n",
				"ok       stored values: 3 values can be decrypted, former versions included\n",
			} {
				if !strings.Contains(got.stdout, want) {
					t.Errorf("%q is not in\n%s", want, got.stdout)
				}
			}
		})
	}
}

// engines are the URLs of an empty database of each kind, "" for SQLite.
func engines(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"sqlite": "", "postgres": heartlocktest.Postgres(t)}
}

func TestCheckNamesWhatCanNotBeDecrypted(t *testing.T) {
	t.Parallel()
	for name, url := range engines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t, url)
			foreign, err := keyring.NewRing(keyring.Generate())
			if err != nil {
				t.Fatal(err)
			}
			token, _, err := foreign.Seal([]byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			ours := i.ring.SealFingerprint()
			i.fill(i.seal("good"), fmt.Sprintf("'%s', '%s'", token, ours), "'damaged', '"+ours+"'")
			i.finds([]string{"error    shop/production/B: Version 2 can not be decrypted"})
			i.finds([]string{
				"error    shop/production/B: Version 1 can not be decrypted",
				"error    shop/production/B: Version 2 can not be decrypted",
			}, "--decrypt-all")
		})
	}
}

func TestCheckBoundsTheDamageThatItNames(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	i.fill(i.seal("a"), i.seal("b"), i.seal("c"))
	i.exec(`WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1025)
	        INSERT INTO secrets (environment_id, key, sealed, key_fingerprint, version, comment, revision, created_at, updated_at, updated_by_kind, updated_by_id, updated_by_name)
	        SELECT 'e1', 'K' || x, 'damaged', '', 1, '', 1, 1, 1, '', '', '' FROM n`)
	want := make([]string, 21)
	for n := range want {
		want[n] = fmt.Sprintf("error    shop/production/K%d: Version 1", 1025-n)
	}
	want[20] = "error    stored values: 1005 further values can not be decrypted."
	i.finds(want)
}

func TestCheckComparesTheKeys(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	i.fill(i.seal("a"), i.seal("b"), i.seal("c"))
	keyFile := filepath.Join(i.cli.workDir, "heartlock_data", "secret.key")
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	missing := "The database holds values encrypted with key " + i.ring.SealFingerprint() + ", but no encryption key is configured."
	i.finds([]string{"error    encryption key: " + missing})
	i.doesNotServe(missing)
	i.cli.environ = append(i.cli.environ, "HEARTLOCK_ENCRYPTION_KEY="+testEncryptionKey)
	wrong := "The database holds values encrypted with key " + i.ring.SealFingerprint() + ", but the configured key is 861009ec."
	i.finds([]string{"error    encryption key: " + wrong})
	i.doesNotServe(wrong)
	i.exec(`DELETE FROM encryption_keys`)
	i.finds([]string{"error    encryption key: The database holds encrypted values but no record of their key."})
}

// doesNotServe starts a server, which must end with this sentence and leave
// everything as it was.
func (i *installation) doesNotServe(sentence string) {
	i.t.Helper()
	before := i.contents()
	if got := i.run("", "serve", "--listen", "127.0.0.1:0"); got.code != 2 || !strings.Contains(got.stderr, "heartlock: "+sentence) {
		i.t.Errorf("serve: %+v, want %s", got, sentence)
	}
	if diff := cmp.Diff(before, i.contents()); diff != "" {
		i.t.Errorf("serve changed the files (-before +after):\n%s", diff)
	}
}

func TestCheckFindsADamagedKeyRecord(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	i.exec(`UPDATE encryption_keys SET check_token = 'x'`)
	i.finds([]string{"error    encryption key: The database's record of key " + i.ring.SealFingerprint() + " is damaged"})
}

func TestCheckLooksAtTheSchema(t *testing.T) {
	t.Parallel()
	for name, url := range engines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t, url)
			i.exec(`INSERT INTO schema_migrations VALUES (5, 'later', 'x', 1)`)
			i.finds([]string{"error    schema: The database has schema version 5, and this heartlock knows no later one than 4."})
			i.exec(`DELETE FROM schema_migrations WHERE version = 5`)
			i.exec(`UPDATE schema_migrations SET checksum = 'x'`)
			i.finds([]string{"error    schema: Schema version 1 (initial) was applied to the database in another form"})
			i.exec(`DROP TABLE schema_migrations`)
			i.finds([]string{"warning  schema: The database is empty."})
		})
	}
}

func TestCheckFindsAnUnfinishedFirstRun(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	if got := s.run("", "migrate"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	s.finds([]string{
		"warning  set-up: The first run is not finished: there is no administrator. Run `heartlock onboard`.",
		"warning  encryption key: There is none yet",
	})
}

func TestCheckFindsOpenFiles(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	data := filepath.Join(i.cli.workDir, "heartlock_data")
	i.write(".env", "EMAIL_PORT=25\n").write("heartlock_data/appconfig.json", "{}").write("heartlock_data/setup-token", "x")
	var want []string
	for _, name := range []string{"", "/../.env", "/appconfig.json", "/db.sqlite3", "/secret.key", "/setup-token"} {
		path := filepath.Join(data, name)
		mode, mend := os.FileMode(0o640), "600"
		if name == "" {
			mode, mend = 0o750, "700"
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("error    %s: Other users have access (mode %o); run chmod %s on it.", path, mode, mend))
	}
	i.finds(want)
}

func TestCheckFindsADamagedDatabase(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	data, err := os.ReadFile(i.databaseFile())
	if err != nil {
		t.Fatal(err)
	}
	sound := append([]byte{}, data...)
	for at := 5 * 4096; at < 9*4096; at++ { // pages in the middle, past the schema's first
		data[at] ^= 0x5a
	}
	writeFile(t, i.databaseFile(), string(data), 0o600)
	got := i.run("", "check")
	if got.code != 1 || !strings.Contains(got.stdout, "error    database: The database is damaged. Stop the server") {
		t.Errorf("damaged pages: %+v", got)
	}
	for name, content := range map[string]string{"no database": strings.Repeat(leak, 1000), "cut off": string(sound[:len(sound)/2])} {
		writeFile(t, i.databaseFile(), content, 0o600)
		got := i.run("", "check")
		if got.code != 1 || !strings.Contains(got.stdout, "error    database: The database is damaged. Stop the server") || strings.Contains(got.stdout, leak) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCheckFindsThatTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	s := newShell(t, "DATABASE_URL=postgres://u:"+leak+"@127.0.0.1:1/db")
	s.finds([]string{"error    database: The database can not be reached at the moment: failed to connect to"})
	if got := s.run("", "check", "--json"); strings.Contains(got.stdout+got.stderr, leak) {
		t.Errorf("the password is shown: %+v", got)
	}
	s = newShell(t, "DATABASE_URL=sqlite:///dir.sqlite3")
	if err := os.Mkdir(filepath.Join(s.cli.workDir, "dir.sqlite3"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.finds([]string{"error    database: The database can not be reached at the moment: "})
	newShell(t, "DATABASE_URL=sqlite://:memory:").finds([]string{"warning  database: The database is in memory"})
}

func TestCheckShowsWarningsOfTheSettings(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	i.cli.environ = append(i.cli.environ, "HEARTLOCK_LISTEN=0.0.0.0:8082", "OIDC_ENABLE=True", "EMAIL_HOST_USER=u", "HEARTLOCK_TYPO=1")
	i.finds([]string{
		`warning  settings: "HEARTLOCK_TYPO" is not a setting of Heartlock and has no effect.`,
		"warning  DEBUG=True and listening on 0.0.0.0:8082",
		"warning  OIDC_ENABLE=True, but OIDC_CLIENT_ID",
		"warning  settings: Only one of EMAIL_HOST_USER and EMAIL_HOST_PASSWORD is set",
	})
}

// fit are the settings of a production server with which nothing is wrong.
func fit(more ...string) []string {
	return productionEnviron(append(more, "ALLOWED_HOSTS=hl.example.com", "HEARTLOCK_APP_URL=https://hl.example.com", "SECURE_HSTS_SECONDS=31536000", "EMAIL_HOST=smtp.example.com")...)
}

func TestCheckDeploy(t *testing.T) {
	t.Parallel()
	server := heartlocktest.StartPostgres(t, heartlocktest.PostgresOptions{Durable: true})
	for name, url := range map[string]string{"sqlite": "", "postgres": server.Database(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t, fit()...)
			if url != "" {
				s.cli.environ = append(s.cli.environ, "DATABASE_URL="+url)
			}
			if got := s.run(ownerPassword, "onboard", "--yes", "--email", "ann@example.com", "--password-stdin"); got.code != 0 {
				t.Fatalf("%+v", got)
			}
			s.finds(nil, "--deploy")
			s.cli.environ = append([]string{"ALLOWED_HOSTS=*", "SECURE_SSL_REDIRECT=no", "EMAIL_HOST="}, s.cli.environ...)
			s.finds([]string{
				"warning  EMAIL_HOST: It is not set; no invitations can be sent.",
				"error    ALLOWED_HOSTS: * answers to every host",
				"error    SECURE_SSL_REDIRECT: It is False",
			}, "--deploy")
		})
	}
}

func TestCheckDeployWantsADurablePostgres(t *testing.T) {
	t.Parallel()
	server := heartlocktest.StartPostgres(t, heartlocktest.PostgresOptions{})
	s := newShell(t, fit("DATABASE_URL="+server.Database(t))...)
	if got := s.run(ownerPassword, "onboard", "--yes", "--email", "ann@example.com", "--password-stdin"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	s.finds(nil)
	s.finds([]string{
		"error    database: PostgreSQL runs with fsync = off",
		"error    database: PostgreSQL runs with full_page_writes = off",
		"error    database: PostgreSQL runs with synchronous_commit = off",
	}, "--deploy")
}

func TestCheckAsJSON(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	i.cli.environ = append(i.cli.environ, "HEARTLOCK_LISTEN=:8082")
	got := i.run("", "check", "--json")
	var report diagnosis.Report
	if err := json.Unmarshal([]byte(got.stdout), &report, json.RejectUnknownMembers(true)); err != nil || got.code != 1 || got.stderr != "" {
		t.Fatalf("%v: %+v", err, got)
	}
	if report.OK || len(report.Passed) != 5 || len(report.Findings) != 1 || report.Findings[0].Severity != diagnosis.Warning || report.Findings[0].Subject != "DEBUG" {
		t.Errorf("%+v", report)
	}
	if got := install(t, "").run("", "check", "--json"); got.code != 0 || !strings.Contains(got.stdout, `"ok": true`) || !strings.Contains(got.stdout, `"findings": []`) {
		t.Errorf("%+v", got)
	}
}
