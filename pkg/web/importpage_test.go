//go:build unix

package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const importing = staging + "import/"

// outside is everything in a page but the text in its field.
func outside(d *document) string {
	var b strings.Builder
	for node := range d.root.Descendants() {
		if node.Type == html.TextNode && node.Parent.Data != "textarea" {
			b.WriteString(node.Data + "\n")
		}
		for _, a := range node.Attr {
			b.WriteString(a.Val + "\n")
		}
	}
	return b.String()
}

// apply sends what a preview shows, as its button does.
func apply(t *testing.T, preview *document, changes url.Values) *document {
	t.Helper()
	if !preview.Offers(importing + "apply/") {
		t.Fatalf("nothing is offered to be imported: %s", preview.Text())
	}
	values := preview.Form(t, importing).Values()
	for name, v := range changes {
		values[name] = v
	}
	return send(t, preview.caller, importing+"apply/", values)
}

func TestImportShowsFirstWhatItChanges(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.set(staging, "KEPT", "canary-old")
		w.set(staging, "SAME", "canary-same")
		w.set(staging, "EXTRA", "canary-extra")
		const text = "# comment\r\nNEW='canary new'\r\nKEPT=canary-new # why\r\nSAME=canary-same\r\nLINES=\"a\\nb\"\r\n"
		state := w.State()
		preview := open(t, w.member, importing).Form(t, importing).Submit(t, field("text", text))
		preview.Want(http.StatusOK)
		preview.Has(t, "read as .env", "Created 2 LINES NEW", "Different, kept 1 KEPT", "Unchanged 1 SAME", "Line 3: What follows the # is a comment here", "Import 2 secrets")
		if strings.Contains(outside(preview), "canary") {
			t.Error("a value is in the page, and not where it was typed")
		}
		if w.State() != state {
			t.Error("the preview has changed something")
		}
		apply(t, preview, nil).Has(t, "The text is imported.")
		want := map[string]string{"KEPT": "canary-old", "SAME": "canary-same", "EXTRA": "canary-extra", "NEW": "canary new", "LINES": "a\nb"}
		if !cmp.Equal(w.values(staging), want) {
			t.Error("the secrets are others")
		}
		all := url.Values{"text": {text}, "overwrite": {"1"}, "delete_missing": {"1"}}
		preview = open(t, w.member, importing).Form(t, importing).Submit(t, all)
		preview.Has(t, "Replaced 1 KEPT", "Deleted 1 EXTRA", "Import 1 secret, delete 1")
		apply(t, preview, nil).Has(t, "The text is imported.")
		want["KEPT"] = "canary-new"
		delete(want, "EXTRA")
		if !cmp.Equal(w.values(staging), want) {
			t.Error("the secrets are others")
		}
		open(t, w.member, importing).Form(t, importing).Submit(t, all).Has(t, "Nothing would change.")
	})
}

// TestNothingUnseenIsImported changes what a preview was made of: the environment, the
// text, the choices.
func TestNothingUnseenIsImported(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	preview := open(t, w.member, importing).Form(t, importing).Submit(t, field("text", "A=1"))
	for name, c := range map[string]struct {
		changes url.Values
		says    string
	}{
		"text":      {field("text", "A=1\nB=2"), "was changed after the preview"},
		"overwrite": {field("overwrite", "1"), "was changed after the preview"},
		"delete":    {field("delete_missing", "1"), "was changed after the preview"},
		"format":    {field("format", "dotenv"), "was changed after the preview"},
		"digest":    {field("previewed", ""), "was changed after the preview"},
		"revision":  {field("seen", "7"), "Staging has changed since the preview"},
		"nothing":   {field("seen", ""), "The form is not whole"},
	} {
		state := w.State()
		page := apply(t, preview, c.changes).Has(t, c.says)
		if page.Status == http.StatusOK || w.State() != state {
			t.Errorf("%s: %d", name, page.Status)
		}
	}
	w.set(staging, "A", "canary-other")
	again := apply(t, preview, nil)
	again.Has(t, "Staging has changed since the preview", "Different, kept 1 A", "Nothing would change").Lacks(t, "canary")
	if again.Status != http.StatusPreconditionFailed || w.values(staging)["A"] != "canary-other" {
		t.Errorf("what nobody has seen was overwritten: %d", again.Status)
	}
}

func TestImportNamesWhatItCanNotRead(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	form := open(t, w.member, importing).Form(t, importing)
	for name, c := range map[string]struct {
		text, format string
		says         []string
	}{
		"dotenv":   {"A=1\nno canary\nB='canary", "auto", []string{"2 problems in the text, read as .env", "Line 2", "Line 3"}},
		"name":     {`{"MY-KEY": "canary"}`, "auto", []string{"MY-KEY", "It could be MY_KEY"}},
		"twice":    {"A=canary\nA=canary2", "auto", []string{"Line 2, A", "line 1"}},
		"JSON":     {`{"A": {"B": "canary"}}`, "auto", []string{"read as JSON", "A"}},
		"not JSON": {"A=canary", "json", []string{"read as JSON"}},
		"YAML":     {"A: 1\nB: [canary]", "auto", []string{"read as YAML", "Line 2, B"}},
		"nothing":  {" \n", "auto", []string{"Paste a text or choose a file."}},
		"comments": {"# canary", "auto", []string{"There are no secrets in the file."}},
	} {
		page := form.Submit(t, url.Values{"text": {c.text}, "format": {c.format}}).Has(t, c.says...)
		if page.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, page.Status)
		}
		if strings.Contains(outside(page), "canary") {
			t.Errorf("%s: a value is in the page, and not where it was typed", name)
		}
		if got := page.Form(t, importing).Values().Get("text"); got != c.text {
			t.Errorf("%s: what was typed is lost", name)
		}
	}
	if n := w.Count("secrets", "1 = 1"); n != 0 {
		t.Errorf("%d secrets", n)
	}
}

// TestPastedTextIsPreviewed sends what the table of secrets sends when a text is pasted
// into it: nothing but the text.
func TestPastedTextIsPreviewed(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for _, text := range []string{"export A=1", "{\"A\": \"1\"}", "A: \"1\"\n", "\n---\n'A': 1", "A=b: c"} {
		post(t, w.member, importing, field("text", text)).Has(t, "Created 1 A")
	}
}

func TestImportShowsTextAsText(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for _, evil := range injections() {
		for _, text := range []string{evil, "A=" + evil, evil + "=1", "A='" + evil, `{"` + strings.ReplaceAll(evil, `"`, `\"`) + `": "x"}`} {
			page := post(t, w.member, importing, field("text", text)).IsTame(t)
			if got := page.Form(t, importing).Values().Get("text"); got != text {
				t.Errorf("%q comes back as %q", text, got)
			}
		}
		post(t, w.member, importing, url.Values{"text": {"A=1"}, "format": {evil}, "overwrite": {evil}}).Has(t, "Created 1 A").IsTame(t)
		post(t, w.member, importing+"apply/", url.Values{"text": {"A=1"}, "seen": {evil}, "previewed": {evil}}).IsTame(t)
	}
}
