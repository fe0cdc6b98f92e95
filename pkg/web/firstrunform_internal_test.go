package web

import (
	"strings"
	"testing"
)

// TestNoPartOfAPasswordIsPutBack: what programs take for the password of a URL differs,
// and the form is filled in again with none of it.
func TestNoPartOfAPasswordIsPutBack(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"postgres://u@h/db":                          "postgres://u@h/db",
		"postgres://u:canary@h:5432/db":              "postgres://u@h:5432/db",
		"postgres://u:p@canary@h/db":                 "postgres://u@h/db",
		"postgres://u:p#canary@h/db":                 "",
		"postgres://u:1#canary@h/db":                 "",
		"postgres://u:p@1#canary@h/db":               "",
		"postgres://u:p@canary#1@h/db":               "",
		"postgres://u:p%40canary@h/db?sslmode=allow": "postgres://u@h/db?sslmode=allow",
		"postgres://u:p/canary@h/db":                 "",
		"postgres://u:p@h/db?password=canary":        "",
		"postgres:/u:canary@h/db":                    "",
		"mysql://u:canary@h/db":                      "",
	} {
		rest, _ := withoutPassword(text, t.TempDir())
		if rest != want || strings.Contains(rest, "canary") {
			t.Errorf("of %s there is left %q, want %q", text, rest, want)
		}
	}
}
