package dotenv

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestParseLine is the table of what django-environ 0.12 made of a line, and what
// we make of it. A row without django means that both agree.
func TestParseLine(t *testing.T) {
	t.Parallel()
	const invalid = "\x00invalid" // django-environ logged "Invalid line"
	for _, c := range []struct {
		line, key, value string
		reason           string
		django           string // its value where it differs
	}{
		{line: "K=v", key: "K", value: "v"},
		{line: "K= v", key: "K", value: " v"},
		{line: "K=v ", key: "K", value: "v", django: "v "},
		{line: "K = v", reason: reasonSpace, django: invalid},
		{line: " K=v", key: "K", value: "v", django: invalid},
		{line: "export K=v", key: "K", value: "v"},
		{line: "export  K=v", key: "K", value: "v", django: invalid},
		{line: "\texport K=v", key: "K", value: "v", django: invalid},
		{line: "export=v", key: "export", value: "v"},
		{line: "export =v", reason: reasonEmptyExport, django: invalid},
		{line: "export K", reason: reasonNoEquals, django: invalid},
		{line: `K="v"`, key: "K", value: "v"},
		{line: "K='v'", key: "K", value: "v"},
		{line: `K="a b" # c`, key: "K", value: "a b", django: `"a b" # c`},
		{line: "K='a b' # c", key: "K", value: "a b", django: "'a b' # c"},
		{line: "K=v # c", key: "K", value: "v", django: "v # c"},
		{line: "K=v\t# c", key: "K", value: "v", django: "v\t# c"},
		{line: "K=v#c", key: "K", value: "v#c"},
		{line: "K=#c", key: "K", value: "#c"},
		{line: "K= # c", key: "K", value: "", django: " # c"},
		{line: "K=", key: "K", value: ""},
		{line: `K=""`, key: "K", value: ""},
		{line: "K=''", key: "K", value: ""},
		{line: `K="a\nb"`, key: "K", value: "a\nb", django: `a\nb`},
		{line: `K="a\rb"`, key: "K", value: "a\rb", django: `a\rb`},
		{line: `K='a\nb'`, key: "K", value: `a\nb`},
		{line: `K=a\nb`, key: "K", value: `a\nb`},
		{line: `K="a\"b"`, key: "K", value: `a"b`},
		{line: `K='a\'b'`, reason: reasonAfterQuote, django: `a\'b`},
		{line: `K='it''s'`, reason: reasonAfterQuote, django: `it''s`},
		{line: `K="a\\b"`, key: "K", value: `a\b`},
		{line: `K="a\tb\$c"`, key: "K", value: "a\tb$c", django: `a\tb$c`},
		{line: `K="a\qd"`, reason: reasonEscape, django: "aqd"},
		{line: "K=$OTHER", key: "K", value: "$OTHER"},
		{line: "K=${OTHER}", key: "K", value: "${OTHER}"},
		{line: `K="$OTHER"`, key: "K", value: "$OTHER"},
		{line: "K=a=b", key: "K", value: "a=b"},
		{line: "K-X=v", reason: reasonName, django: invalid},
		{line: "1K=v", key: "1K", value: "v"},
		{line: "K.X=v", reason: reasonName, django: invalid},
		{line: "# K=v"},
		{line: " # K=v", django: invalid},
		{line: ""},
		{line: " \t"},
		{line: ";K=v", reason: reasonName, django: invalid},
		{line: "K", reason: reasonNoEquals, django: invalid},
		{line: "=v", reason: reasonName, django: invalid},
		{line: "K: v", reason: reasonNoEquals, django: invalid},
		{line: "K\ufeff=v", reason: reasonName, django: invalid},
		{line: `K="multi`, reason: reasonUnclosed, django: `"multi`},
		{line: `K="multi\`, reason: reasonUnclosed, django: `"multi\`},
		{line: `K='multi`, reason: reasonUnclosed, django: `'multi`},
		{line: `K="v"x`, reason: reasonAfterQuote, django: `"v"x`},
		{line: `K="v"#c`, reason: reasonAfterQuote, django: `"v"#c`},
		{line: `K="v" `, key: "K", value: "v", django: `"v" `},
		{line: `K='"x"'`, key: "K", value: `"x"`, django: "x"},
		{line: `K="'x'"`, key: "K", value: "'x'"},
		{line: "k=v", key: "k", value: "v"},
		{line: "K=ünï", key: "K", value: "ünï"},
		{line: "K=a\x00b", reason: reasonNUL, django: "a\x00b"},
		{line: "K=a\xffb", reason: reasonUTF8},
		{line: "K=v\r", key: "K", value: "v"},
		{line: `K="v"` + "\r", key: "K", value: "v"},
		{line: "K=a\vb", key: "K", value: "a\vb", django: "a"},
		{line: "K=a\u2028b", key: "K", value: "a\u2028b", django: "a"},
		{line: "K==", key: "K", value: "="},
		{line: "K=`id`", key: "K", value: "`id`"},
		{line: "K=$(id)", key: "K", value: "$(id)"},
		{line: "KÉ=v", reason: reasonName, django: invalid},
	} {
		entries, err := Parse([]byte(c.line))
		var want []Entry
		if c.key != "" {
			want = []Entry{{c.key, c.value, 1}}
		}
		if diff := cmp.Diff(want, entries); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.line, diff)
		}
		var bad *Error
		if errors.As(err, &bad); (bad != nil) != (c.reason != "") {
			t.Errorf("%q: error %v, want %q", c.line, err, c.reason)
		} else if bad != nil && cmp.Diff([]Problem{{1, c.reason}}, bad.Problems) != "" {
			t.Errorf("%q: %v, want %q", c.line, bad.Problems, c.reason)
		}
	}
}

func TestParseText(t *testing.T) {
	t.Parallel()
	text := "\ufeffA=1\r\n\n# comment\nB='two'\nA=3\nC=last"
	want := []Entry{{"A", "1", 1}, {"B", "two", 4}, {"A", "3", 5}, {"C", "last", 6}}
	got, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if entries, err := Parse(nil); entries != nil || err != nil {
		t.Errorf("the empty text gave %v, %v", entries, err)
	}
}

func TestErrorNamesEveryLineAndNoText(t *testing.T) {
	t.Parallel()
	const canary = "hunter2canary"
	entries, err := Parse([]byte("A=1\n" + canary + "\nK='" + canary + "\n" + canary + " = x\nB=2\nK=\"\\" + canary + "\"\nK='x'" + canary + "\n"))
	var bad *Error
	if !errors.As(err, &bad) {
		t.Fatalf("err = %v", err)
	}
	var lines []int
	for _, p := range bad.Problems {
		lines = append(lines, p.Line)
	}
	if diff := cmp.Diff([]int{2, 3, 4, 6, 7}, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if strings.Contains(err.Error(), canary) {
		t.Error("the error repeats the text")
	}
	if diff := cmp.Diff([]Entry{{"A", "1", 1}, {"B", "2", 5}}, entries); diff != "" {
		t.Errorf("the good lines (-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"K=v", "export K='a' # c\nB=\"x\\n\"", "\ufeffK=1\r\n", "K=\"", "=", "K=a\x00", " K\t=v"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := Parse(text)
		lines := 1 + strings.Count(string(text), "\n")
		last := 0
		for _, e := range entries {
			if e.Line <= last || e.Line > lines {
				t.Fatalf("line %d of %d after %d", e.Line, lines, last)
			}
			last = e.Line
			if nameProblem(e.Key) != "" || strings.ContainsRune(e.Value, 0) || !utf8.ValidString(e.Value) {
				t.Fatalf("a bad entry on line %d", e.Line)
			}
			// What was read can be written so that it is read again.
			if !strings.ContainsAny(e.Value, "'\n\r") {
				again, err := Parse([]byte(e.Key + "='" + e.Value + "'"))
				if err != nil || len(again) != 1 || again[0].Value != e.Value {
					t.Fatalf("line %d does not survive quoting", e.Line)
				}
			}
		}
		var bad *Error
		if err != nil && (!errors.As(err, &bad) || len(bad.Problems) == 0) {
			t.Fatalf("not an *Error: %T", err)
		}
	})
}
