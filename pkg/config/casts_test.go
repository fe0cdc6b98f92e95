package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseBool is the table of what django-environ 0.12 made of a text, and what
// we make of it: what it took for true means the same here, and what it silently
// took for false is false only when it says so.
func TestParseBool(t *testing.T) {
	t.Parallel()
	const yes, no, bad = "true", "false", "error"
	for _, c := range []struct{ text, django, want string }{
		{"true", yes, yes},
		{"True", yes, yes},
		{"TRUE", yes, yes},
		{" true ", yes, yes},
		{"on", yes, yes},
		{"ok", yes, yes},
		{"y", yes, yes},
		{"yes", yes, yes},
		{"1", yes, yes},
		{"2", yes, yes},
		{"-1", yes, yes},
		{"01", yes, yes},
		{" 1 ", yes, yes},
		{"+1", yes, yes},
		{"0", no, no},
		{"00", no, no},
		{"-0", no, no},
		{"false", no, no},
		{"off", no, no},
		{"no", no, no},
		{"n", no, no},
		{"False ", no, no},
		{"1_0", yes, bad},
		{"１", yes, bad},
		{"t", no, bad},
		{"T", no, bad},
		{"f", no, bad},
		{"enabled", no, bad},
		{"truee", no, bad},
		{"None", no, bad},
		{"1.0", no, bad},
		{"0x1", no, bad},
		{"'true'", no, bad},
		{`"true"`, no, bad},
		{"true # c", no, bad},
		{"$OTHER", yes, bad},
		{"+", no, bad},
		{" ", no, bad},
	} {
		got := bad
		if value, err := parseBool(c.text); err == nil {
			got = strings.ToLower(boolText(value))
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s (Django: %s)", c.text, got, c.want, c.django)
		}
	}
}

func TestParseInt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want int // -1 = error
	}{
		{"60", 60},
		{" 60 ", 60},
		{"+7", 7},
		{"010", 10},
		{"0", 0},
		{"100", 100},
		{"", -1},
		{"abc", -1},
		{"-5", -1},
		{"1_000", -1},
		{"6.5", -1},
		{"０", -1},
		{"0x10", -1},
		{"101", -1},
		{"99999999999999999999", -1},
		{"7 # c", -1},
	} {
		got, err := parseInt(c.text, 0, 100)
		if err != nil {
			got = -1
		}
		if got != c.want {
			t.Errorf("%q: %d, want %d", c.text, got, c.want)
		}
	}
}

func TestParseList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string // nil and bad = error
		bad  bool
	}{
		{text: "a,b", want: []string{"a", "b"}},
		{text: "a, b", want: []string{"a", "b"}},
		{text: " a , b ", want: []string{"a", "b"}},
		{text: "a", want: []string{"a"}},
		{text: ",a,,b,", want: []string{"a", "b"}},
		{text: "[::1],a", want: []string{"[::1]", "a"}},
		{text: ","},
		{text: `["a","b"]`, bad: true},
		{text: "[a,b]", bad: true},
		{text: "(a,b)", bad: true},
		{text: "a;b", bad: true},
		{text: "a b", bad: true},
		{text: "'a'", bad: true},
	} {
		got, err := parseList(c.text)
		if (err != nil) != c.bad || cmp.Diff(c.want, got) != "" {
			t.Errorf("%q: %q, %v", c.text, got, err)
		}
	}
}
