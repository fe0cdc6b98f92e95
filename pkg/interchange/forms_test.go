package interchange

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
)

// asLines is a file in a form that can be compared and written down: each group as
// its name and lines of place, key, value and comment.
func asLines(f *File) []string {
	lines := []string{f.Form}
	for _, g := range f.Groups {
		lines = append(lines, fmt.Sprintf("[%s|%s|%v]", g.Name, g.Title, g.Protected))
		for _, s := range g.Secrets {
			line := fmt.Sprintf("%s %s=%q", s.Place, s.Key, s.Value.Reveal())
			if s.Comment != nil {
				line += fmt.Sprintf(" // %q", *s.Comment)
			}
			lines = append(lines, line)
		}
	}
	for _, n := range f.Notes {
		lines = append(lines, "note: "+n.String())
	}
	return lines
}

func fixtureFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestEachFormAsItsToolWritesIt: the files of testdata, which are as the tools write them.
func TestEachFormAsItsToolWritesIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from Source
		file string
		want []string
	}{
		{Infisical, "infisical.json", []string{
			"Infisical's JSON export", "[||false]",
			`line 1 API_KEY="value-one" // "for the payment provider"`,
			`line 1 TLS_KEY="line one\nit's \"line\" two\n"`, `line 1 DEBUG=""`,
			"note: line 1, TLS_KEY: Its tags are not taken over.",
			"note: line 1, TLS_KEY: It lies in the folder /tls, which is not taken over.",
			"note: line 1, DEBUG: It is the personal value of one person, not the shared one.",
		}},
		{Infisical, "infisical.env", []string{
			"Infisical's dotenv export", "[||false]", `line 1 API_KEY="value-one"`, `line 2 PEM="line one\\nline two"`,
			`note: line 2, PEM: It holds the two characters \n, which Infisical may have written for a line break; --format=json keeps them apart.`,
		}},
		{Infisical, "infisical-export.env", []string{"Infisical's dotenv export", "[||false]", `line 1 API_KEY="value-one"`, `line 2 DEBUG=""`}},
		{Doppler, "doppler-download.json", []string{
			"Doppler's JSON download", "[||false]", `line 1 API_KEY="value-one"`, `line 1 TLS_KEY="line one\nit's $two\n"`,
			"note: Left out, because Doppler adds it itself: DOPPLER_CONFIG, DOPPLER_ENVIRONMENT, DOPPLER_PROJECT.",
		}},
		{Doppler, "doppler-download.env", []string{
			"Doppler's env download", "[||false]", `line 1 API_KEY="value-one"`, `line 3 PASSWORD="a\"b\\c"`,
			"note: Left out, because Doppler adds it itself: DOPPLER_CONFIG.",
		}},
		{Doppler, "doppler-secrets.json", []string{
			"Doppler's list of secrets", "[||false]",
			`line 2 API_KEY="value-one" // "for the payment provider"`, `line 11 DATABASE_URL="postgres://db/shop"`,
			"note: line 11, DATABASE_URL: It refers to other secrets of Doppler. What it is now is taken, and does not follow them any more.",
			"note: Left out, because Doppler adds it itself: DOPPLER_PROJECT.",
		}},
		{Doppler, "doppler-api.json", []string{"Doppler's list of secrets", "[||false]", `line 1 API_KEY="invented-api-key" // "for the payment provider"`}},
		{Doppler, "doppler.env", []string{
			"Doppler's env download", "[||false]", `line 1 API_KEY="invented-api-key"`, `line 5 TLS_KEY="line 1\nline 2\n"`,
			"note: Left out, because Doppler adds it itself: DOPPLER_CONFIG, DOPPLER_ENVIRONMENT, DOPPLER_PROJECT.",
		}},
		{Vault, "vkv.yaml", []string{
			"a tree of paths from Vault", "[secret/admin||false]", `line 3 sub="invented-sub"`, "[secret/sub/demo||false]", `line 6 user="invented-user"`,
			"[secret/sub/sub2/demo||false]", `line 9 password="invented-password"`,
		}},
		{Vault, "vault-kv2.json", []string{
			"Vault's answer (KV version 2)", "[||false]", `line 8 API_KEY="value-one"`, `line 9 PORT="8080"`, `line 10 TLS="true"`,
			"note: line 14: The custom metadata of the path is not taken over.",
		}},
		{Vault, "vault-kv1.json", []string{"Vault's answer (KV version 1)", "[||false]", `line 7 API_KEY="value-one"`, `line 8 ttl="1h"`}},
		{Vault, "vault-data.json", []string{"the data of one path of Vault", "[||false]", `line 2 API_KEY="value-one"`, `line 3 data="text of a key that has this name"`}},
		{Vault, "medusa.yaml", []string{
			"a tree of paths from Vault", "[shop/dev||false]", `line 4 API_KEY="value one"`, `line 5 PORT="8080"`,
			"[shop/prod||false]", `line 7 API_KEY="value two"`, `line 8 TLS_KEY="line one\nline two\n"`,
		}},
		{Vault, "medusa.json", []string{
			"a tree of paths from Vault", "[shop/dev||false]", `line 5 API_KEY="value one"`, `line 6 PORT="8080"`,
			"[shop/prod||false]", `line 9 API_KEY="value two"`, `line 10 TLS_KEY="line one\nline two\n"`,
		}},
		{Vault, "vkv.json", []string{"a tree of paths from Vault", "[secret/shop/dev||false]", `line 5 API_KEY="value one"`}},
		{JSON, "flat.json", []string{
			"a flat JSON object", "[||false]", `line 2 API_KEY="value-one"`, `line 3 PORT="8080"`, `line 4 RATIO="1.50"`,
			`line 5 BIG="12345678901234567890123"`, `line 6 DEBUG="false"`, `line 7 EMPTY=""`, `line 8 UNICODE="ümläut 🙂"`,
		}},
		{JSON, "heartlock.json", []string{
			"Heartlock's export of a project", "[development|Development|false]", "[production|Production EU|true]",
			`line 22 API_KEY="it's \"value\" <one>\n" // "for the payment provider"`, `line 27 EMPTY="" // ""`,
		}},
	} {
		file, err := Read(c.from, fixtureFile(t, c.file), Options{})
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if diff := cmp.Diff(c.want, asLines(file)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.file, diff)
		}
	}
}

const hidden = "hunter2canary"

// TestWhatIsNotExactlyTheForm: what is not exactly the form, each with its place and name
// and never with the value.
func TestWhatIsNotExactlyTheForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from Source
		text string
		want []string // parts of the problems, in their order
	}{
		{JSON, "", []string{"The file is empty."}},
		{JSON, " \n", []string{"The file is empty."}},
		{JSON, "{}", []string{"There are no secrets"}},
		{JSON, "[]", []string{"line 1: It is not an object"}},
		{JSON, "{\n\"A\": \"" + hidden + "\",\n\"A\": \"" + hidden + "\"}", []string{"line 3: The same name stands twice"}},
		{JSON, "{\n\"A\": \"" + hidden + "\"}\n{}", []string{"line 3: There is something after the end"}},
		{JSON, "{\n\"A\": \"" + hidden, []string{"line 2: The JSON document ends too early"}},
		{JSON, "{\"A\": '" + hidden + "'}", []string{"line 1: It is not valid JSON"}},
		{JSON, "{\"A\": \"\xff" + hidden + "\"}", []string{"line 1: It is not valid UTF-8"}},
		{JSON, `{"A": "\ud800` + hidden + `"}`, []string{"UTF-8"}},
		{JSON, "{\n\"A\": null,\n\"B\": [\"" + hidden + "\"],\n\"C\": {\"x\": \"" + hidden + "\"}}", []string{"line 2, A: It has no value", "line 3, B: Its value is a list", "line 4, C: Its value is an object"}},
		{JSON, `{"A": "\u0000` + hidden + `"}`, []string{"line 1, A: The value holds a NUL byte"}},
		{JSON, `{"a-b": "1", "a.b": "2", "1x": "3", "": "4", "ü": "5"}`, []string{
			"a-b: The name", "becomes a_b", "a.b: The name", "becomes a_b", "1x", "becomes _1x", "The name must be", `ü: The name must be`,
		}},
		{JSON, `{"A": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, []string{"nested more than 32"}},
		{JSON, strings.Repeat(`{"A":`, 40) + "1" + strings.Repeat("}", 40), []string{"nested more than 32"}},
		{Vault, "A: " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "\n", []string{"nested more than 32"}},
		{JSON, `{"A": "` + strings.Repeat("x", api.MaxValueBytes+1) + `"}`, []string{"A: The value is larger than 64 KiB"}},
		{Infisical, `{"A": "` + hidden + `"}`, []string{"It is not a list"}},
		{Infisical, `["` + hidden + `"]`, []string{"Entry 1 of the list is no secret"}},
		{Infisical, `[{"key": "A"}, {"key": 1, "value": "` + hidden + `"}]`, []string{"Entry 1", "Entry 2"}},
		{Infisical, `[{"key": "A", "value": "x", "password": "` + hidden + `"}]`, []string{"A: Infisical gives a secret no field password"}},
		{Infisical, "[{\"key\": \"A\", \"value\": \"1\"},\n{\"key\": \"A\", \"value\": \"2\"}]", []string{"line 2, A: A is there already, at line 1"}},
		{Infisical, "A='it's " + hidden + "'\nB='one\n" + hidden + "'\n", []string{"--format=json", "line 1: There is text after the closing quote", "line 2: The quote is not closed", "line 3"}},
		{Infisical, "Key,Value\nA," + hidden + "\n", []string{"--format=json", "line 1", "line 2"}},
		{Infisical, "A: " + hidden + "\n", []string{"--format=json", "line 1"}},
		{Doppler, "[]", []string{"It is not an object"}},
		{Doppler, `{"A": {"note": "` + hidden + `", "computed": null}}`, []string{"A: There is no computed value"}},
		{Doppler, `{"A": "x", "B": {"computed": "` + hidden + `"}}`, []string{"B: Its value is an object"}},
		{Doppler, "A: " + hidden + "\n", []string{"--format json", "line 1"}},
		{Vault, "[]", []string{"It is not an object"}},
		{Vault, `{"lease_duration": 0, "renewable": false, "data": null}`, []string{"There is nothing at this path"}},
		{Vault, `{"lease_duration": 0, "renewable": false, "data": {"data": null, "metadata": {"version": 2}}}`, []string{"was deleted"}},
		{Vault, `{"lease_duration": 0, "renewable": false, "data": {"data": {"A": "1"}, "metadata": "` + hidden + `"}}`, []string{"data: Its value is an object"}},
		{Vault, `{"p": {"A": "***", "B": "*"}}`, []string{"masked with stars"}},
		{Vault, `{"p": {"A": "1", "q": {"B": "` + hidden + `"}}}`, []string{"q: Its value is an object"}},
		{Vault, "a: &x " + hidden + "\nb: *x\n", []string{"line 1, a: It uses an alias", "line 2, b: It uses an alias"}},
		{Vault, "a: 1\na: " + hidden + "\n", []string{"line 2, a: The same name stands twice"}},
		{Vault, "1: " + hidden + "\n", []string{"line 1: A name below it is no text"}},
		{Vault, "a: 1\n---\nb: 2\n", []string{"more than one YAML document"}},
		{Vault, "a: !!binary aGk=\n", []string{"a: Its type in YAML"}},
		{Vault, "\t" + hidden + ": [", []string{"neither valid JSON nor valid YAML"}},
		{Vault, "a:\n", []string{"a: It has no value"}},
		{Vault, "", []string{"The file is empty"}},
		{Vault, hidden, []string{"It is not an object"}},
		{Dotenv, "A=1\nB=2\nA=" + hidden + "\n", []string{"line 3, A: A is there already, at line 1"}},
		{Dotenv, "A-B=" + hidden + "\n", []string{"line 1: The name before the ="}},
		{Dotenv, "1A=" + hidden + "\n", []string{"line 1, 1A: The name", "becomes _1A"}},
		{JSON, `{"format": "heartlock project export", "version": 2}`, []string{"not of version 1"}},
		{JSON, `{"format": "heartlock project export", "version": 1}`, []string{"no list of environments"}},
		{JSON, `{"format": "heartlock project export", "version": 1, "environments": [{"slug": "a"}]}`, []string{"lacks its slug"}},
		{
			JSON, `{"format": "heartlock project export", "version": 1, "more": 1, "environments": [{"slug": "a", "name": "A", "protected": false, "secrets": [{"key": "A", "value": 1, "comment": ""}, {"key": "B", "value": "x", "comment": "", "id": "` + hidden + `"}]},{"slug": "a", "name": "A", "protected": false, "secrets": []}]}`,
			[]string{"a field more", "lacks its key, its value", "B: It has a field id", "a: This environment is there twice"},
		},
		{"keepass", "A=1", []string{"No format of the name keepass"}},
	} {
		_, err := Read(c.from, []byte(c.text), Options{})
		var bad *Error
		if !errors.As(err, &bad) {
			t.Errorf("%s %.60q: no problem", c.from, c.text)
			continue
		}
		rest := err.Error()
		for _, part := range c.want {
			_, after, found := strings.Cut(rest, part)
			if !found {
				t.Errorf("%s %.60q: %q is not, or not in this order, in:\n%s", c.from, c.text, part, err)
			}
			rest = after
		}
		if strings.Contains(err.Error()+fmt.Sprint(Fault(err, "f")), hidden) {
			t.Errorf("%s: a value is shown: %v", c.from, err)
		}
	}
}

// TestFixturesThatHoldNoValues are files that the tools write when they are asked
// in the wrong way.
func TestFixturesThatHoldNoValues(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{"vkv-masked.json": "--show-values", "vault-kv2-deleted.json": "was deleted"} {
		if _, err := Read(Vault, fixtureFile(t, name), Options{}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesBecomeKeys(t *testing.T) {
	t.Parallel()
	file, err := Read(JSON, []byte(`{"db-url": "1", "9x": "2", "a/b.c": "3", "OK": "4"}`), Options{RenameKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"a flat JSON object", "[||false]", `line 1 db_url="1"`, `line 1 _9x="2"`, `line 1 a_b_c="3"`, `line 1 OK="4"`,
		"note: line 1, db-url: It becomes db_url.", "note: line 1, 9x: It becomes _9x.", "note: line 1, a/b.c: It becomes a_b_c.",
	}
	if diff := cmp.Diff(want, asLines(file)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for text, part := range map[string]string{
		`{"a-b": "1", "a_b": "2"}`: "a_b is there already",
		`{"--": "1"}`:              "The name must be",
	} {
		if _, err := Read(JSON, []byte(text), Options{RenameKeys: true}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFilesHaveBounds(t *testing.T) {
	t.Parallel()
	if _, err := Read(JSON, bytes.Repeat([]byte(" "), MaxBytes+1), Options{}); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("a file that is too large: %v", err)
	}
	many := map[string]string{}
	for i := range api.MaxSecretsPerEnvironment + 1 {
		many[fmt.Sprintf("K%d", i)] = "x"
	}
	var b bytes.Buffer
	if err := api.Encode(&b, many); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(JSON, b.Bytes(), Options{}); err == nil || !strings.Contains(err.Error(), "holds at most 5000") {
		t.Errorf("too many secrets: %v", err)
	}
}

// TestProjectComesBack: byte for byte, whatever the values are.
func TestProjectComesBack(t *testing.T) {
	t.Parallel()
	data := fixtureFile(t, "heartlock.json")
	file, err := Read(JSON, data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := WriteProject(Project{Head: file.Project, Environments: file.Groups})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(again)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	large := make([]Secret, 0, 1100)
	comment := ""
	for i := range cap(large) {
		large = append(large, Secret{Key: fmt.Sprintf("K%d", i), Value: api.NewValue(strings.Repeat("x", api.MaxValueBytes)), Comment: &comment})
	}
	if _, err := WriteProject(Project{Head: Head{Slug: "s"}, Environments: []Group{{Name: "e", Secrets: large}}}); err == nil {
		t.Error("an export that could not be read back was written")
	}
}

// FuzzForms: no file makes it panic; what it takes is within the bounds of the
// server; what it says of a refused file is text that a person can read.
func FuzzForms(f *testing.F) {
	sources := []Source{Infisical, Doppler, Vault, Dotenv, JSON}
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for i := range sources {
			f.Add(uint8(i), false, data)
		}
	}
	f.Fuzz(func(t *testing.T, source uint8, rename bool, data []byte) {
		file, err := Read(sources[int(source)%len(sources)], data, Options{RenameKeys: rename})
		if err != nil {
			var bad *Error
			if !errors.As(err, &bad) || len(bad.Problems) == 0 || strings.ContainsAny(strings.ReplaceAll(err.Error(), "\n", ""), "\x00\x1b\r") {
				t.Fatalf("not a readable error: %q", err)
			}
			return
		}
		for _, g := range file.Groups {
			seen := map[string]bool{}
			for _, s := range g.Secrets {
				if api.CheckKey(s.Key) != "" || api.CheckValue(s.Value) != "" || seen[s.Key] {
					t.Fatal("it took what the server would refuse")
				}
				seen[s.Key] = true
			}
		}
	})
}
