//go:build unix

package soak

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// forms are the values that a real project's environment is made of. %s is where
// a text stands that comes nowhere else, so that it can be searched for.
var forms = []string{
	"%s", "postgres://app:%s@db.internal:5432/app?sslmode=verify-full", "redis://:%s@cache:6379/0", "https://%s@sentry.example.com/42",
	`{"type":"service_account","private_key":"%s","nested":{"a":[1,2.5,null,true]}}`,
	"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n%s\n-----END PRIVATE KEY-----\n",
	"-----BEGIN CERTIFICATE-----\r\n%s\r\n-----END CERTIFICATE-----\r\n",
	"line one\nline two %s\n\nline four without an end", "%s\n", "\n%s", "\r%s\r", "\t%s\t", "   %s   ",
	"pässwörd-%s-日本語-🔑", "e\u0301 \u00e9 %s", "\u202eright to left %s", "zero\u200bwidth\u200djoiner %s", "\ufeff%s with a BOM",
	`"%s"`, `'%s'`, `it's "quoted" %s`, "`%s`", "$(echo %s)", "${HOME}/%s", `back\slash\n%s`, `\`, "a=b;c=%s", "# %s", "%s # no comment",
	"%%d percent %s", "<script>%s</script>&amp;", "\x01\x1b[31m%s\x7f", "yes %s", "null %s", "0x%s", "{{ %s }}", "'; DROP TABLE secrets; -- %s",
}

// environment is at least 200 secrets: every form in turn, short values that say
// nothing, an empty one, and the largest that is allowed.
func environment() (values map[string]string, marks []string) {
	values = map[string]string{
		"EMPTY": "", "SPACE": " ", "NEWLINE": "\n", "CRLF": "\r\n", "ZERO": "0", "PORT": "8080", "DEBUG": "True", "BOM": "\ufeff", "QUOTE": `"`,
	}
	mark := func() string {
		marks = append(marks, rand.Text())
		return marks[len(marks)-1]
	}
	for i := range 220 {
		values[fmt.Sprintf("SETTING_%03d", i)] = strings.Replace(strings.ReplaceAll(forms[i%len(forms)], "%%", "%"), "%s", mark(), 1)
	}
	start := mark()
	values["LARGEST"] = start + strings.Repeat("x", api.MaxValueBytes-len(start))
	values[strings.Repeat("K", api.MaxKeyLength)] = "longest key " + mark()
	return values, marks
}

// TestARealEnvironment puts a whole environment into a server and takes it out
// again in every way, byte for byte. Nothing of it may stand in the clear in the
// database or in the most talkative log.
func TestARealEnvironment(t *testing.T) {
	parallel(t)
	eachEngine(t, func(t *testing.T) {
		s := newSite(t)
		s.holdsAnEnvironment(t, func() []byte { return s.files(t) })
	}, func(t *testing.T, _ *heartlocktest.PostgresServer, url string) {
		s := newSite(t, "DATABASE_URL="+url)
		s.holdsAnEnvironment(t, func() []byte { return append(s.files(t), rows(t, url)...) })
	})
}

func (s *site) holdsAnEnvironment(t *testing.T, stored func() []byte) {
	t.Helper()
	values, marks := environment()
	owner := s.onboard(t)
	v := s.serve(t, "--log-level", "debug")
	c := v.client(t, v.shop(t, owner))
	s.putEnvironment(t, c, values)

	got := map[string]string{}
	list, err := c.Secrets(t.Context(), development, client.ListSecrets{Values: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range list.Results {
		got[secret.Key] = secret.Value.Reveal()
	}
	if !maps.Equal(got, values) {
		t.Errorf("%d of %d values come back in the list, or others", len(got), len(values))
	}
	for key, want := range values {
		secret, err := c.Secret(t.Context(), development, key)
		if err != nil || secret.Value.Reveal() != want {
			t.Errorf("%s does not come back (%v)", key, err)
		}
	}
	s.environ = append(s.environ, "HEARTLOCK_SERVER="+v.url, "HEARTLOCK_TOKEN="+owner.Reveal(), "HEARTLOCK_PROJECT=shop", "HEARTLOCK_ENVIRONMENT=development")
	for _, key := range []string{"SETTING_005", "SETTING_006", "SETTING_013", "EMPTY", "CRLF", "LARGEST"} {
		if out := s.mustRun(t, "", "secrets", "get", key); out != values[key] {
			t.Errorf("heartlock secrets get %s prints something else", key)
		}
	}

	for when, text := range map[string]func() []byte{"in the running server's database": stored, "in the log": func() []byte { return []byte(v.log.String()) }} {
		clean(t, when, text(), marks)
	}
	v.stop(t)
	clean(t, "in the stopped server's database", stored(), marks)
	clean(t, "in the whole log", []byte(v.log.String()), marks)
}

// putEnvironment writes half of the values at once and the others one by one.
func (s *site) putEnvironment(t *testing.T, c *client.Client, values map[string]string) {
	t.Helper()
	set := map[string]api.Value{}
	for i, key := range slices.Sorted(maps.Keys(values)) {
		v := api.NewValue(values[key])
		if i%2 == 0 {
			set[key] = v
		} else if _, _, err := c.PutSecret(t.Context(), development, key, api.PutSecret{Value: &v}); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
	}
	if _, err := c.BulkSecrets(t.Context(), development, api.BulkRequest{Set: set}); err != nil {
		t.Fatal(err)
	}
}

// clean fails the test if one of the marks stands in the text.
func clean(t *testing.T, where string, text []byte, marks []string) {
	t.Helper()
	if len(text) < 1000 {
		t.Errorf("%s there is nothing", where)
	}
	for _, mark := range marks {
		if bytes.Contains(text, []byte(mark)) || bytes.Contains(text, []byte(mark[:12])) {
			t.Errorf("a value stands %s", where)
			return
		}
	}
}

// files is everything below the site, one file after the other.
func (s *site) files(t *testing.T) []byte {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(filepath.Dir(s.dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}

// rows is every row of every table of a PostgreSQL database as text.
func rows(t *testing.T, url string) []byte {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var text []byte
	if err := db.QueryRowContext(t.Context(), "SELECT database_to_xml(true, false, '')::text").Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}
