package interchange

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDashboardOfInfisical: its escapes are those of package dotenv, and its
// comments may hold anything, former secrets too, so they stay where they are.
func TestDashboardOfInfisical(t *testing.T) {
	t.Parallel()
	file, err := Read(Infisical, fixtureFile(t, "infisical-dashboard.env"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Infisical's dotenv export", "[||false]",
		`line 2 API_KEY="invented-api-key"`, `line 3 PATTERN="a\\nb \"c\" $HOME"`, `line 4 TLS_KEY="line 1\nline 2\n"`,
		"note: line 3: $ and backquotes are plain text here; shells and many readers replace what they name. Put the value into single quotes.",
		"note: Its comments are not taken over; those of --format=json are.",
		`note: line 3, PATTERN: It holds the two characters \n, which Infisical may have written for a line break; --format=json keeps them apart.`,
	}
	if diff := cmp.Diff(want, asLines(file)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestTextThatTheToolDoesNotWrite: a value that is not quoted as the tool does it
// may mean something else there, so it is not guessed at.
func TestTextThatTheToolDoesNotWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from Source
		text string
		want string
	}{
		{Doppler, "A=\"1\"\nB=" + hidden + " # 2\n", "line 2, B: Its value is not in double quotes"}, // docker, env-no-quotes
		{Doppler, "A='" + hidden + "'\n", "line 1, A: Its value is not in double quotes"},
		{Doppler, "A=\n", "line 1, A: Its value is not in double quotes"},
		{Infisical, "A='1'\nexport B=" + hidden + "\n", "line 2, B: Its value is not in quotes"},
	} {
		_, err := Read(c.from, []byte(c.text), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s %q: %v", c.from, c.text, err)
		}
	}
	if file, err := Read(Dotenv, []byte("A=1\nB='2'\nC=\"3\"\n"), Options{}); err != nil || len(file.Groups[0].Secrets) != 3 {
		t.Errorf("a .env file may quote as it likes: %v", err)
	}
}

func TestNestedAsJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from       Source
		text, want string
	}{
		{JSON, `{"A": {"b": [1.50, null, true, "x\u001b\"ü"], "a": {}}}`, `{"b":[1.50,null,true,"x\u001b\"ü"],"a":{}}`},
		{JSON, "{\"A\": [ ]}", `[]`},
		{Vault, `{"lease_duration": 0, "renewable": false, "data": {"A": {"b": 1}}}`, `{"b":1}`},
		{Vault, "A:\n  b: [0x1F, .inf, True, 2027-01-31, ~, {c: d}]\nX: y\n", `{"b":["0x1F",".inf",true,"2027-01-31",null,{"c":"d"}]}`},
	} {
		if _, err := Read(c.from, []byte(c.text), Options{}); err == nil || !strings.Contains(err.Error(), "with --nested-as-json it is taken as JSON") {
			t.Errorf("%s was taken without being asked for: %v", c.text, err)
		}
		file, err := Read(c.from, []byte(c.text), Options{NestedAsJSON: true})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := file.Groups[0].Secrets[0].Value.Reveal(); got != c.want {
			t.Errorf("%s became %s, want %s", c.text, got, c.want)
		}
		if len(file.Notes) != 1 || file.Notes[0].Key != "A" {
			t.Errorf("%s: notes %v", c.text, file.Notes)
		}
	}
	// In a tree a path with paths below it stays one.
	file, err := Read(Vault, []byte("p:\n  q:\n    A: [1]\n"), Options{NestedAsJSON: true})
	if err != nil || file.Groups[0].Name != "p/q" || file.Groups[0].Secrets[0].Value.Reveal() != "[1]" {
		t.Errorf("the tree: %v, %v", file, err)
	}
	if _, err := Read(JSON, []byte(`{"A": null}`), Options{NestedAsJSON: true}); err == nil {
		t.Error("null was taken")
	}
}
