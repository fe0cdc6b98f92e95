//go:build unix

package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/session"
)

// document is a page as a browser without scripts has it.
type document struct {
	heartlocktest.Answer
	Path   string // where the browser is, with the query
	caller *heartlocktest.Caller
	root   *html.Node
}

// open opens a page as somebody, follows redirects as a browser does, and fails the
// test unless it ends at a page.
func open(t *testing.T, c *heartlocktest.Caller, path string) *document {
	t.Helper()
	d := visit(t, c, path)
	d.Want(http.StatusOK)
	return d
}

// visit is open for pages that may be refused.
func visit(t *testing.T, c *heartlocktest.Caller, path string) *document {
	t.Helper()
	return follow(t, c, path, c.Do("GET", path, nil))
}

// post sends a form as somebody who made it up himself, with the CSRF token of his
// session: for what no page offers him.
func post(t *testing.T, c *heartlocktest.Caller, path string, values url.Values) *document {
	t.Helper()
	sent := maps.Clone(values)
	if sent == nil {
		sent = url.Values{}
	}
	sent.Set(session.CSRFField, c.Cookies[session.CSRFCookieName])
	return send(t, c, path, sent)
}

// send sends a form as it is.
func send(t *testing.T, c *heartlocktest.Caller, path string, values url.Values) *document {
	t.Helper()
	return follow(t, c, path, c.Do("POST", path, values.Encode(), "Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin"))
}

func follow(t *testing.T, c *heartlocktest.Caller, path string, answer heartlocktest.Answer) *document {
	t.Helper()
	for range 10 {
		if answer.Status != http.StatusSeeOther {
			root, err := html.Parse(strings.NewReader(answer.Body))
			if err != nil {
				t.Fatalf("%s as %s: %v", path, c.Name, err)
			}
			return &document{Answer: answer, Path: path, caller: c, root: root}
		}
		if path = answer.Header.Get("Location"); !strings.HasPrefix(path, "/") {
			t.Fatalf("as %s: redirected to %q", c.Name, path)
		}
		answer = c.Do("GET", path, nil)
	}
	t.Fatalf("%s as %s: redirects without end", path, c.Name)
	return nil
}

// Has fails the test unless the page says all these texts.
func (d *document) Has(t *testing.T, texts ...string) *document {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(d.Text(), text) {
			t.Errorf("%s as %s does not say %q: %s", d.Path, d.caller.Name, text, d.Text())
		}
	}
	return d
}

// Lacks fails the test if the page says one of these texts.
func (d *document) Lacks(t *testing.T, texts ...string) *document {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(d.Text(), text) {
			t.Errorf("%s as %s says %q", d.Path, d.caller.Name, text)
		}
	}
	return d
}

// Text is what the page's main part says, with single blanks.
func (d *document) Text() string {
	for _, main := range d.All("main") {
		return textOf(main)
	}
	return textOf(d.root)
}

// All lists the elements of a kind that have all these attributes: names and values in
// turn; the value "*" stands for any.
func (d *document) All(tag string, attributes ...string) []*html.Node {
	return all(d.root, tag, attributes...)
}

func all(root *html.Node, tag string, attributes ...string) (found []*html.Node) {
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && node.Data == tag && hasAttributes(node, attributes) {
			found = append(found, node)
		}
	}
	return found
}

func hasAttributes(node *html.Node, pairs []string) bool {
	for pair := range slices.Chunk(pairs, 2) {
		value, there := attribute(node, pair[0])
		if !there || pair[1] != "*" && value != pair[1] {
			return false
		}
	}
	return true
}

func attribute(node *html.Node, name string) (value string, there bool) {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func textOf(node *html.Node) string {
	var b strings.Builder
	for n := range node.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Actions lists where the forms of the page's main part are sent to by POST.
func (d *document) Actions() (actions []string) {
	for _, main := range d.All("main") {
		for _, form := range all(main, "form", "method", "post") {
			action, _ := attribute(form, "action")
			actions = append(actions, action)
		}
		for _, button := range all(main, "button", "formaction", "*") {
			action, _ := attribute(button, "formaction")
			actions = append(actions, action)
		}
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

// Offers reports whether the page has a form that is sent to this path by POST.
func (d *document) Offers(action string) bool { return slices.Contains(d.Actions(), action) }

// sheet is a form of a page.
type sheet struct {
	page   *document
	action string
	fields []*html.Node
}

// Form is the form that is sent to this path. There must be one; of several the first
// is taken.
func (d *document) Form(t *testing.T, action string) *sheet {
	t.Helper()
	forms := d.All("form", "action", action)
	if len(forms) == 0 {
		t.Fatalf("%s as %s has no form for %s: %q", d.Path, d.caller.Name, action, d.Actions())
	}
	f := &sheet{page: d, action: action}
	id, _ := attribute(forms[0], "id")
	for _, tag := range []string{"input", "select", "textarea"} {
		for _, field := range all(forms[0], tag) {
			if _, elsewhere := attribute(field, "form"); !elsewhere {
				f.fields = append(f.fields, field)
			}
		}
		if id != "" {
			f.fields = append(f.fields, d.All(tag, "form", id)...)
		}
	}
	return f
}

// Values are what the form would send if nobody touched it.
func (f *sheet) Values() url.Values {
	values := url.Values{}
	for _, field := range f.fields {
		name, _ := attribute(field, "name")
		if _, disabled := attribute(field, "disabled"); name == "" || disabled {
			continue
		}
		if value, sent := initial(field); sent {
			values.Add(name, value)
		}
	}
	return values
}

// initial is what a field sends before anybody has touched it.
func initial(field *html.Node) (value string, sent bool) {
	switch field.Data {
	case "textarea":
		return rawText(field), true // the parser has dropped a line end at its beginning
	case "select":
		options := all(field, "option")
		if len(options) == 0 {
			return "", false
		}
		if chosen := all(field, "option", "selected", "*"); len(chosen) > 0 {
			options = chosen
		}
		return optionValue(options[0]), true
	}
	value, _ = attribute(field, "value")
	switch kind, _ := attribute(field, "type"); kind {
	case "checkbox", "radio":
		if value == "" {
			value = "on"
		}
		_, sent = attribute(field, "checked")
		return value, sent
	case "submit", "button", "reset", "file", "image":
		return "", false
	}
	return value, true
}

func optionValue(option *html.Node) string {
	if value, there := attribute(option, "value"); there {
		return value
	}
	return textOf(option)
}

func rawText(node *html.Node) string {
	var b strings.Builder
	for n := range node.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

// Submit fills the form in and sends it, with its hidden fields and all that is left as
// it is. A field without values is emptied: an unticked box. What the form does not
// let anybody choose fails the test.
func (f *sheet) Submit(t *testing.T, values url.Values) *document {
	t.Helper()
	sent := f.Values()
	for name, chosen := range values {
		f.check(t, name, chosen)
		delete(sent, name)
		if len(chosen) > 0 {
			sent[name] = chosen
		}
	}
	return send(t, f.page.caller, f.action, sent)
}

// Get is Submit for a form that looks for something.
func (f *sheet) Get(t *testing.T, values url.Values) *document {
	t.Helper()
	sent := f.Values()
	for name, chosen := range values {
		f.check(t, name, chosen)
		sent[name] = chosen
	}
	return open(t, f.page.caller, f.action+"?"+sent.Encode())
}

// injections are texts that would be markup, code or a template if they were not shown
// as text.
func injections() []string {
	return []string{`"><script>alert(1)</script>`, `' onfocus=alert(1) autofocus x='`, `{{.CSRF}} ${1} <!--`, `</textarea></title><img src=x onerror=alert(1)>`}
}

// IsTame fails the test if something of the injections is markup: an element or
// attribute that no page of ours has.
func (d *document) IsTame(t *testing.T) *document {
	t.Helper()
	for node := range d.root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		src, _ := attribute(node, "src")
		if node.Data == "script" && !strings.HasPrefix(src, "/") || node.Data == "img" && src == "x" {
			t.Errorf("%s has a <%s src=%q>", d.Path, node.Data, src)
		}
		for _, a := range node.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("%s has the attribute %s", d.Path, a.Key)
			}
		}
	}
	if strings.Contains(d.Body, "<!--") {
		t.Errorf("%s has a comment", d.Path)
	}
	return d
}

// check makes sure that a browser lets somebody send these values for a field.
func (f *sheet) check(t *testing.T, name string, chosen []string) {
	t.Helper()
	var choices []string
	found, open := false, false
	for _, field := range f.fields {
		if n, _ := attribute(field, "name"); n != name {
			continue
		}
		found = true
		switch kind, _ := attribute(field, "type"); {
		case field.Data == "select":
			for _, option := range all(field, "option") {
				choices = append(choices, optionValue(option))
			}
		case kind == "checkbox", kind == "radio", kind == "hidden":
			value, there := attribute(field, "value")
			if !there {
				value = "on"
			}
			choices = append(choices, value)
		default:
			open = true
		}
	}
	if !found {
		t.Fatalf("%s as %s: the form for %s has no field %q", f.page.Path, f.page.caller.Name, f.action, name)
	}
	for _, value := range chosen {
		if !open && !slices.Contains(choices, value) {
			t.Fatalf("%s as %s: the form for %s does not offer %q for %q, but %q", f.page.Path, f.page.caller.Name, f.action, value, name, choices)
		}
	}
}
