package interchange

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlatYAML(t *testing.T) {
	t.Parallel()
	text := "# a comment\nA: plain text\nB: \"quoted \\u00fc\"\nC: 'it''s'\nD: 0x1F\nE: 1.50\nF: true\nG: 2026-01-31\nH: |\n  two\n  lines\nI: ''\n\"no\": no\n"
	file, err := Read(YAML, []byte(text), Options{WithoutFlags: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"flat YAML", "[||false]",
		`line 2 A="plain text"`, `line 3 B="quoted ü"`, `line 4 C="it's"`, `line 5 D="0x1F"`, `line 6 E="1.50"`, `line 7 F="true"`,
		`line 8 G="2026-01-31"`, `line 9 H="two\nlines\n"`, `line 12 I=""`, `line 13 no="no"`,
	}
	if diff := cmp.Diff(want, asLines(file)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestFlatYAMLRefuses what has no one meaning, by its line, without its text and
// without a word of flags.
func TestFlatYAMLRefuses(t *testing.T) {
	t.Parallel()
	const canary = "hunter2"
	for text, places := range map[string][]string{
		"":                                    {""},
		"# nothing\n":                         {""},
		"---\n":                               {"line 2"},
		"{}":                                  {""},
		"- " + canary:                         {"line 1"},
		canary:                                {"line 1"},
		"A: " + canary + "\nA: x":             {"line 2"},
		"A: &x " + canary + "\nB: *x":         {"line 1", "line 2"},
		"A: ~\nB:\n":                          {"line 1", "line 2"},
		"A: [" + canary + "]\nB: {x: y}":      {"line 1", "line 2"},
		"A: !!binary aGk=":                    {"line 1"},
		"A: !x " + canary:                     {"line 1"},
		"<<: {A: b}":                          {"line 1"},
		"1: x":                                {"line 1"},
		"true: x":                             {"line 1"},
		"a-b: x":                              {"line 1"},
		"A: x\n---\nB: y":                     {""},
		"A: \"" + canary:                      {""},
		"A: x\n\tB: " + canary:                {"line 2"},
		"A: \"\\0\"":                          {"line 1"},
		"A: \xff":                             {""},
		"A: " + strings.Repeat("[", 20000):    {""},
		strings.Repeat("A: {", 100) + "B: 1}": {"*"},
	} {
		_, err := Read(YAML, []byte(text), Options{WithoutFlags: true})
		var bad *Error
		if !errors.As(err, &bad) {
			t.Errorf("%.60q was taken: %v", text, err)
			continue
		}
		var got []string
		for _, p := range bad.Problems {
			got = append(got, p.Place)
		}
		if diff := cmp.Diff(places, got); diff != "" && places[0] != "*" {
			t.Errorf("%.60q (-want +got):\n%s%v", text, diff, err)
		}
		if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "--") {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}
