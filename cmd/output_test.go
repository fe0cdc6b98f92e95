package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
)

func fixedNow() time.Time { return time.Date(2027, 1, 1, 12, 0, 0, 500, time.UTC) }

func TestSafeText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain äöü 日本 🙂 \t\n":          "plain äöü 日本 🙂 \t\n",
		"\x1b]0;x\x07":                 `\x1b]0;x\x07`,
		"a\rb\x00\x7f\b":               `a\x0db\x00\x7f\x08`,
		"\u009b31m":                    `\u009b31m`,
		"\xff\xc3(":                    `\xff\xc3(`,
		"a\u202eb\u2066c\u200fd\u2028": `a\u202eb\u2066c\u200fd\u2028`,
		"\ufffd":                       "\ufffd",
		"":                             "",
	} {
		if got := safeText(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestSafeJSONIsTheSameDocument(t *testing.T) {
	t.Parallel()
	if got, want := safeJSON("{\n \"a\": \"\u009b\u202e\x7f ä\"\n}"), "{\n \"a\": \"\\u009b\\u202e\\u007f ä\"\n}"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestATableHasOneLineForEachRow(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := &cli{streams: Streams{Out: &out}}
	tb := table{head: []string{"KEY", "VALUE", "COMMENT"}}
	tb.add("A", "line\r\nANOTHER  forged", "ä")
	tb.add("LONGER", "", "")
	if err := c.printTable(tb); err != nil {
		t.Fatal(err)
	}
	want := "KEY     VALUE                    COMMENT\n" +
		"A       line\\r\\nANOTHER  forged  ä\n" +
		"LONGER\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSONShowsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := &cli{streams: Streams{Out: &out}}
	v := api.NewValue("a<b>&\n\u2028")
	if err := c.printJSON(struct {
		Value *api.Value `json:"value"`
	}{&v}); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"value\": \"a<b>&\\n\u2028\"\n}\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestParseExpiry(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"12h":                       "2027-01-02T00:00:00Z",
		"90d":                       "2027-04-01T12:00:00Z",
		"4w":                        "2027-01-29T12:00:00Z",
		"2027-01-31T13:00:00+01:00": "2027-01-31T12:00:00Z",
		"never":                     "never",
		"":                          "error", "d": "error", "90": "error", "-1d": "error", "1.5h": "error", "0d": "error", "99999999d": "error",
		"90 d": "error", "2026-01-31T12:00:00Z": "error", "2027-01-31": "error", "Never": "error",
	} {
		at, err := parseExpiry(text, fixedNow())
		got := "never"
		if err != nil {
			got = "error"
		} else if at != nil {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
