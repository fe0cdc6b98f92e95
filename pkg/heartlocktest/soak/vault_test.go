//go:build unix

package soak

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// installation is a site that is set up and holds secrets, and the knowledge of
// what it holds.
type installation struct {
	*site
	postgres    *heartlocktest.PostgresServer // nil: SQLite
	databaseURL string                        // of PostgreSQL
	owner       api.Value                     // a personal token
	token       api.Value                     // reads and writes in development
	present     map[string]string             // what has to be readable there
	remembered  string                        // id of the project that an idempotent request has made
}

// eachInstallation runs a test with one on each engine, on which this program
// runs.
func eachInstallation(t *testing.T, program func() (string, error), secrets int, test func(t *testing.T, i *installation)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		parallel(t)
		i := &installation{site: newSite(t)}
		i.program = program
		i.fill(t, secrets)
		test(t, i)
	})
	t.Run("postgres", func(t *testing.T) {
		parallel(t)
		db := heartlocktest.StartPostgres(t, heartlocktest.PostgresOptions{Durable: *soak})
		url := db.Database(t)
		i := &installation{site: newSite(t, "DATABASE_URL="+url), postgres: db, databaseURL: url}
		i.program = program
		i.fill(t, secrets)
		test(t, i)
	})
}

func (i *installation) engine() string {
	if i.postgres != nil {
		return "PostgreSQL"
	}
	return "SQLite"
}

const idempotencyKey = "01J9Z7A0QJ3M0V2N8R6T4W5X1Y"

// fill stores secrets, former versions of a tenth of them, a few that were
// deleted, and the remembered answer of a request: everything that is sealed.
func (i *installation) fill(t *testing.T, secrets int) {
	t.Helper()
	i.owner = i.onboard(t)
	v := i.serve(t)
	i.token = v.shop(t, i.owner)
	c := v.client(t, i.owner)
	i.present = map[string]string{}
	for n := range secrets {
		key := fmt.Sprintf("KEY_%04d", n)
		i.present[key] = value(key, 1)
	}
	gone := map[string]string{}
	for n := range secrets/50 + 1 {
		gone[fmt.Sprintf("GONE_%d", n)] = "deleted"
	}
	set(t, c, gone)
	var names []string
	for key := range gone {
		names = append(names, key)
	}
	if _, err := c.BulkSecrets(t.Context(), development, api.BulkRequest{Unset: names}); err != nil {
		t.Fatal(err)
	}
	set(t, c, i.present)
	for n := 0; n < secrets; n += 10 {
		key := fmt.Sprintf("KEY_%04d", n)
		i.present[key] = value(key, 2)
	}
	set(t, c, i.present)
	i.remembered = i.remember(t, c)
	v.stop(t)
}

// addMass adds environments of a thousand secrets each, which make a rotation
// last. No server may be running.
func (i *installation) addMass(t *testing.T, environments int) {
	t.Helper()
	encoded, _ := i.keys(t)
	key, err := keyring.ParseKey(encoded[0])
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.NewRing(key)
	if err != nil {
		t.Fatal(err)
	}
	database := i.data("db.sqlite3")
	if i.postgres != nil {
		database = i.databaseURL
	}
	if err := (heartlocktest.Mass{Environments: environments, Secrets: 1000, Ring: ring}).Load(t.Context(), database); err != nil {
		t.Fatal(err)
	}
}

// remember makes a project once; asked again it gets the remembered answer.
func (i *installation) remember(t *testing.T, c *client.Client) string {
	t.Helper()
	p, err := c.CreateProject(t.Context(), api.CreateProject{Name: "Remembered"}, client.IdempotencyKey(idempotencyKey))
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// set stores values in development, as many in a request as are allowed.
func set(t *testing.T, c *client.Client, values map[string]string) {
	t.Helper()
	part := map[string]api.Value{}
	flush := func() {
		if _, err := c.BulkSecrets(t.Context(), development, api.BulkRequest{Set: part}); err != nil {
			t.Fatal(err)
		}
		clear(part)
	}
	for key, v := range values {
		if part[key] = api.NewValue(v); len(part) == api.MaxSecretsPerBulk {
			flush()
		}
	}
	if len(part) > 0 {
		flush()
	}
}

// copied is another installation with the same data and settings. No server may
// be running on this one. It is gone when the test ends.
func (i *installation) copied(t *testing.T) *installation {
	t.Helper()
	other := *i
	other.site = newSite(t)
	other.program = i.program
	if err := os.CopyFS(other.dir, os.DirFS(i.dir)); err != nil {
		t.Fatal(err)
	}
	if i.postgres != nil {
		other.databaseURL = i.copyDatabase(t)
		other.environ = []string{"DATABASE_URL=" + other.databaseURL}
	}
	return &other
}

func (i *installation) copyDatabase(t *testing.T) string {
	t.Helper()
	source := i.databaseURL[strings.LastIndex(i.databaseURL, "/")+1:]
	source, _, _ = strings.Cut(source, "?")
	sum := sha256.Sum256([]byte(t.Name()))
	name := "copy_" + hex.EncodeToString(sum[:12])
	db, err := sql.Open("pgx", i.postgres.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	exec := func(statement string) {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	exec("CREATE DATABASE " + name + " TEMPLATE " + source)
	t.Cleanup(func() {
		exec("DROP DATABASE " + name + " WITH (FORCE)")
		_ = db.Close()
	})
	return i.postgres.URL(name)
}

// database is a connection beside Heartlock's own.
func (i *installation) database(t *testing.T) *sql.DB {
	t.Helper()
	driver, source := "sqlite", "file:"+i.data("db.sqlite3")+"?_pragma=busy_timeout(10000)"
	if i.postgres != nil {
		driver, source = "pgx", i.databaseURL
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// sealedRow is one sealed value, of whatever table.
type sealedRow struct{ Name, Sealed, Fingerprint string }

// sealed reads everything that is sealed, past Heartlock.
func (i *installation) sealed(t *testing.T) (list []sealedRow) {
	t.Helper()
	db := i.database(t)
	defer func() { _ = db.Close() }()
	var queries []string
	for _, table := range store.SealedTables() {
		name := "''"
		if table == "secrets" {
			name = "key"
		}
		queries = append(queries, "SELECT "+name+", sealed, key_fingerprint FROM "+table+" WHERE sealed IS NOT NULL")
	}
	rows, err := db.QueryContext(t.Context(), strings.Join(queries, " UNION ALL "))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r sealedRow
		if err := rows.Scan(&r.Name, &r.Sealed, &r.Fingerprint); err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	if rows.Err() != nil || len(list) == 0 {
		t.Fatalf("%d sealed values, %v", len(list), rows.Err())
	}
	return list
}

// under counts the sealed values by the fingerprint of their key.
func (i *installation) under(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, r := range i.sealed(t) {
		counts[r.Fingerprint]++
	}
	return counts
}

// keys are the encryption keys in the settings files.
func (i *installation) keys(t *testing.T) (encoded, fingerprints []string) {
	t.Helper()
	cfg, err := config.LoadServer(config.Options{Dir: i.dir, Environ: i.environ})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range cfg.EncryptionKey.Keys {
		encoded, fingerprints = append(encoded, k.Encode()), append(fingerprints, k.Fingerprint())
	}
	return encoded, fingerprints
}

// unreadable counts the secrets that a server does not give back as they were
// stored.
func (i *installation) unreadable(t *testing.T, v *server) (n int) {
	t.Helper()
	list, err := v.client(t, i.token).Secrets(t.Context(), development, client.ListSecrets{Values: true})
	if err != nil {
		t.Errorf("the secrets can not be read: %v", err)
		return len(i.present)
	}
	left := maps.Clone(i.present)
	for _, s := range list.Results {
		if s.Value != nil && left[s.Key] == s.Value.Reveal() {
			delete(left, s.Key)
		}
	}
	return len(left)
}

// independent opens tokens with Python's MultiFernet. It gets the keys and the
// tokens as JSON and answers with the digest of each value, or "".
const independent = `
import hashlib, json, sys
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
given = json.load(sys.stdin)
f = MultiFernet([Fernet(k) for k in given["keys"]])
def digest(token):
    try:
        return hashlib.sha256(f.decrypt(token.encode())).hexdigest()
    except InvalidToken:
        return ""
json.dump([digest(t) for t in given["tokens"]], sys.stdout)
`

// unreadableByPython counts the stored values that another implementation does
// not open with the keys of the settings files, or not to what was stored.
func (i *installation) unreadableByPython(t *testing.T) (n int) {
	t.Helper()
	keys, _ := i.keys(t)
	rows := i.sealed(t)
	tokens := make([]string, len(rows))
	for j, r := range rows {
		tokens[j] = r.Sealed
	}
	input, err := json.Marshal(map[string][]string{"keys": keys, "tokens": tokens})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python(t), "-c", independent)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var digests []string
	if err := json.Unmarshal(out, &digests); err != nil || len(digests) != len(rows) {
		t.Fatalf("%d of %d answers, %v", len(digests), len(rows), err)
	}
	for j, r := range rows {
		sum := sha256.Sum256([]byte(i.present[r.Name]))
		if digests[j] == "" || r.Name != "" && digests[j] != hex.EncodeToString(sum[:]) {
			n++
		}
	}
	return n
}

func python(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(path, "-c", "import cryptography.fernet").Run() == nil {
			return path
		}
	}
	t.Fatal("Python's cryptography package not found: apt-get install python3-cryptography")
	return ""
}

// keyState is what `rotate-key --status --json` prints.
type keyState struct {
	Keys []struct {
		Fingerprint string
		Seals       bool
		Values      int
	}
	Rotation *struct {
		From, To  string
		Undo      bool
		Remaining int
		Verified  *string `json:"verified_at"`
	}
	Servers []struct{ Keys []string }
}

// interrupted reports whether the status that a person sees tells of something
// that has to be gone on with.
func (i *installation) interrupted(t *testing.T) bool {
	t.Helper()
	e := i.run(t, "", "rotate-key", "--status")
	return e.code == 0 && strings.Contains(e.err, "Run `heartlock rotate-key")
}

func (i *installation) status(t *testing.T) (state keyState) {
	t.Helper()
	if err := json.Unmarshal([]byte(i.mustRun(t, "", "rotate-key", "--status", "--json")), &state); err != nil {
		t.Fatal(err)
	}
	return state
}

// seals is the fingerprint of the key that seals.
func (s keyState) seals() string {
	for _, k := range s.Keys {
		if k.Seals {
			return k.Fingerprint
		}
	}
	return ""
}

// former are the files of retired keys.
func (i *installation) former(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(i.data(filepath.Join(config.FormerKeysName, "*")))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
