//go:build unix

package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
)

// strict is the policy under which the harness must be able to do its work.
const strict = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'"

const form = `<!doctype html><html lang="en"><head><title>Form</title><link rel="stylesheet" href="/style.css"><script type="module" src="/module.js"></script></head>
<body><main><h1>A form</h1><form method="post" action="/answer">
<label>Name <input name="name" value="before"></label> <label for="day">Day</label> <input id="day" name="day" type="date">
<label>Notes <textarea name="notes"></textarea></label>
<label>Colour <select name="colour"><option>red</option><option>green</option></select></label>
<label><input type="checkbox" name="agreed" value="yes"> I agree</label>
<label>File <input type="file" name="file"></label>
<button>Send</button> <button type="button" disabled>Never</button></form>
<button id="count">Count</button> <p id="out"></p>
<details><summary>More</summary><p>hidden treasure</p></details>
<button id="show">Show dialog</button><dialog aria-label="Question"><p>Really?</p><button id="yes">Yes</button></dialog>
<table><tr><th>one</th><td><button>Reveal</button> <output></output></td></tr><tr><th>two</th><td><button>Reveal</button> <output></output></td></tr></table>
<a href="/slow">Slow page</a></main></body></html>`

const module = `let n = 0;
document.querySelector('#count').addEventListener('click', () => setTimeout(() => document.querySelector('#out').textContent = 'counted ' + ++n, 200));
const dialog = document.querySelector('dialog');
document.querySelector('#show').addEventListener('click', () => dialog.showModal());
document.querySelector('#yes').addEventListener('click', () => dialog.close());
for (const b of document.querySelectorAll('td button')) b.addEventListener('click', () => b.parentElement.querySelector('output').textContent = 'value of ' + b.closest('tr').firstElementChild.textContent);`

// site is a small site for the harness to be tried on. The pages in bad are
// written as they are.
func site(t *testing.T, bad map[string]string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	serve := func(pattern, kind, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Content-Security-Policy", strict)
			_, _ = w.Write([]byte(body))
		})
	}
	serve("/favicon.ico", "image/x-icon", "")
	serve("/form", "text/html", form)
	serve("/style.css", "text/css", "body { background: white; color: black } @media (prefers-color-scheme: dark) { body { background: black; color: white } } dialog { border: 0 } button, a { display: inline-block; min-height: 24px; min-width: 24px }")
	serve("/module.js", "text/javascript", module)
	serve("/slow", "text/html", `<!doctype html><html lang="en"><title>Slow</title><script src="/late.js"></script><h1>Slow</h1></html>`)
	for path, body := range bad {
		serve(path, "text/html", body)
	}
	mux.HandleFunc("/late.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		<-r.Context().Done() // it never comes, and the page never is whole
	})
	mux.HandleFunc("/answer", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseMultipartForm(1 << 20)
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", strict)
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Answer</title><main><h1>Thanks</h1><pre>%s|%s|%s|%s|%s</pre><a href="/form">Again</a></main></html>`,
			r.Form.Get("name"), r.Form.Get("day"), r.Form.Get("notes"), r.Form.Get("colour"), r.Form.Get("agreed"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestAPersonFillsInAForm(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]browser.Option{
		"laptop": nil, "phone": {browser.Phone, browser.Dark}, "without JavaScript": {browser.WithoutJavaScript},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tab := browser.NewTab(t, site(t, nil).URL, options...)
			if status := tab.Open("/form"); status != http.StatusOK {
				t.Fatal(status)
			}
			for range 5 {
				tab.Fill("Name", "Ada")
				tab.WantValue("Name", "Ada")
				tab.Fill("Day", "2026-11-24")
				tab.Fill("Notes", "many words")
				tab.Select("Colour", "green")
				tab.Check("I agree", true)
				tab.Click("Send")
				tab.WantPath("/answer")
				tab.WantText("Ada|2026-11-24|many words|green|yes")
				tab.Click("Again")
				tab.WantValue("Name", "before")
			}
			tab.WantNoText("hidden treasure")
			tab.Click("More")
			tab.WantText("hidden treasure")
		})
	}
}

func TestAPersonUsesWhatScriptsDo(t *testing.T) {
	t.Parallel()
	tab := browser.NewTab(t, site(t, nil).URL)
	tab.Open("/form")
	tab.Click("Count")
	tab.WantText("counted 1")
	tab.Click("Show dialog")
	if tab.Has("Send") {
		t.Error("what is behind a modal dialog can be found")
	}
	tab.In("dialog", "Question").Click("Yes")
	tab.WantNoText("Really?")
	tab.In("row", "two").Click("Reveal")
	tab.WantText("value of two")
	tab.WantNoText("value of one")
}

func TestAPersonUsesTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	tab := browser.NewTab(t, site(t, nil).URL)
	tab.Open("/form")
	tab.TabTo("Name")
	tab.Press("Control+a")
	tab.Type("Grace")
	tab.TabTo("I agree")
	tab.Press("Space")
	tab.TabTo("Show dialog")
	tab.Press("Enter")
	tab.WantFocus("Yes")
	tab.Press("Escape")
	tab.WantFocus("Show dialog")
	tab.Focus("Name")
	tab.Press("Enter")
	tab.WantText("Grace|||red|yes")
	tab.Back()
	tab.WantPath("/form")
}

// TestTheBrowserComplains sees each kind of complaint.
func TestTheBrowserComplains(t *testing.T) {
	t.Parallel()
	server := site(t, map[string]string{
		"/inline":  `<!doctype html><title>t</title><script>document.title = 'x'</script>`,
		"/style":   `<!doctype html><title>t</title><p style="color: red">text</p>`,
		"/foreign": `<!doctype html><title>t</title><link rel="stylesheet" href="http://other.invalid/style.css">`,
		"/missing": `<!doctype html><title>t</title><script src="/nothing.js"></script>`,
		"/fine":    `<!doctype html><html lang="en"><title>t</title><h1>Fine</h1></html>`,
	})
	for path, want := range map[string]string{
		"/inline": "script-src", "/style": "style-src", "/foreign": "http://other.invalid/style.css", "/missing": "/nothing.js answered with 404",
	} {
		tab := browser.NewTab(t, server.URL)
		tab.Open(path)
		if got := tab.Complaints(); !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s: %q, want something about %s", path, got, want)
		}
	}
	tab := browser.NewTab(t, server.URL)
	tab.Open("/fine")
	if got := tab.Complaints(); len(got) > 0 {
		t.Errorf("a page without faults: %q", got)
	}
	for script, want := range map[string]string{
		"console.error('bad thing')":              "bad thing",
		"setTimeout(() => { throw Error('x1') })": "x1",
		"alert('hello')":                          "hello",
		"fetch('/nothing').then(r => r.status)":   "/nothing answered with 404",
	} {
		_ = browser.Evaluate[any](tab, script+"; 1")
		var got []string
		tab.WantNoControl("nothing")
		got = append(got, tab.Complaints()...)
		if !slices.ContainsFunc(got, func(c string) bool { return strings.Contains(c, want) }) {
			t.Errorf("%s: %q, want something about %s", script, got, want)
		}
	}
	tab.Open("/nothing-here")
	tab.WantStatus(http.StatusNotFound)
}
