package interchange

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
)

// TestPathsThatAreCalledLikeAnAnswer: only what has the other fields of an answer
// of Vault's API is one.
func TestPathsThatAreCalledLikeAnAnswer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`{"data": {"A": "1"}}`: {"a tree of paths from Vault", "[data||false]", `line 1 A="1"`},
		`{"data": {"data": {"A": "1"}, "metadata": {"version": "2"}}}`: {
			"a tree of paths from Vault", "[data/data||false]", `line 1 A="1"`, "[data/metadata||false]", `line 1 version="2"`,
		},
		// One path of version 1 whose secrets are called like the parts of version 2.
		`{"lease_duration": 1, "renewable": false, "data": {"data": "x", "metadata": "y"}}`: {
			"Vault's answer (KV version 1)", "[||false]", `line 1 data="x"`, `line 1 metadata="y"`,
		},
	} {
		file, err := Read(Vault, []byte(text), Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, asLines(file)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// TestAFileMayFillAnEnvironment: with as many secrets, and as many bytes, as one
// holds, and no more.
func TestAFileMayFillAnEnvironment(t *testing.T) {
	t.Parallel()
	var many, large strings.Builder
	for i := range api.MaxSecretsPerEnvironment {
		fmt.Fprintf(&many, "K%d=v\n", i)
	}
	for i := range api.MaxEnvironmentBytes / api.MaxValueBytes {
		fmt.Fprintf(&large, "K%d=%s\n", i, strings.Repeat("x", api.MaxValueBytes))
	}
	for _, c := range []struct{ text, want string }{
		{many.String(), ""},
		{many.String() + "MORE=v\n", "There are 5001 secrets; an environment holds at most 5000."},
		{large.String(), ""},
		{large.String() + "MORE=v\n", "The values have more than 8 MiB together, the most that an environment holds."},
	} {
		got := ""
		if _, err := Read(Dotenv, []byte(c.text), Options{}); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%d bytes: %.200q, want %q", len(c.text), got, c.want)
		}
	}
}
