package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/session"
)

//go:embed templates
var templateFiles embed.FS

// page is what a handler has to show.
type page struct {
	Template string // a file of templates/pages, without .html
	Title    string
	Status   int  // 200 if it is 0
	Wide     bool // for tables that need the whole screen
	// Compressed: the page may be compressed, because it holds nothing that its
	// address or another site can put beside a token of the session (BREACH).
	Compressed bool
	Plain      bool // a narrow page without navigation: for whoever is on the way in
	// Project is the navigation of a project's pages; nil elsewhere.
	Project *projectNav
	// Section is the part of the account's or administration's pages, as their
	// navigation names it.
	Section string
	Data    any
}

// projectNav is the navigation of a project's pages.
type projectNav struct {
	Project      api.Project
	Section      string // "secrets", "matrix", "history", "members", "tokens", "audit", "settings"
	Environments []api.Environment
	Environment  *api.Environment // the one that is shown
}

// view is what a template sees: the page, and what all pages have.
type view struct {
	page
	Me         *api.Account // nil: nobody is signed in
	SSOEnabled bool
	Notice     string
	CSRF       string
	Form       form
	Path       string // of this page
	Version    string
	// CrossOrigin: the files come from another server, which must allow it (CORS).
	CrossOrigin bool
}

// Once is a new value of the field that keeps a form from being sent twice.
func (view) Once() string { return uuid.NewString() }

// looks are the templates, one set for each page.
type looks struct {
	pages    map[string]func() (*template.Template, error) // parsed when first shown
	executed func(string)
}

const templateEnd = ".html"

func newLooks(files *assets, executed func(string)) (*looks, error) {
	if executed == nil {
		executed = func(string) {}
	}
	l := &looks{pages: map[string]func() (*template.Template, error){}, executed: executed}
	parts := template.New("root").Funcs(functions(files, l.mark))
	for name, file := range templatesIn("parts") {
		if err := parseOne(parts, file, name, name); err != nil {
			return nil, err
		}
	}
	for name, file := range templatesIn("pages") {
		l.pages[name] = sync.OnceValues(func() (*template.Template, error) {
			set, err := parts.Clone()
			if err != nil {
				return nil, err
			}
			return set, parseOne(set, file, "content", name)
		})
	}
	return l, nil
}

// page is the templates of a page, which are parsed when it is first shown: to parse
// all of them would hold up each start of a server by 70 ms.
func (l *looks) page(name string) (*template.Template, error) {
	set, found := l.pages[name]
	if !found {
		return nil, fmt.Errorf("there is no template %q", name)
	}
	return set()
}

// templatesIn are the names and files of a folder of templates.
func templatesIn(folder string) iter.Seq2[string, string] {
	return func(yield func(name, file string) bool) {
		entries, _ := templateFiles.ReadDir("templates/" + folder) // it is embedded
		for _, entry := range entries {
			if !yield(strings.TrimSuffix(entry.Name(), templateEnd), "templates/"+folder+"/"+entry.Name()) {
				return
			}
		}
	}
}

// parseOne parses a file, which is one template: it marks that it was executed.
func parseOne(set *template.Template, file, as, name string) error {
	text, err := templateFiles.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = set.New(as).Parse(`{{mark "` + name + `"}}` + string(text))
	return err
}

// mark tells that a template was executed.
func (l *looks) mark(name string) string {
	l.executed(name)
	return ""
}

// Templates lists all templates by the names that Options.Executed is told.
func Templates() (names []string) {
	for _, folder := range []string{"parts", "pages"} {
		for name := range templatesIn(folder) {
			names = append(names, name)
		}
	}
	return names
}

// rendered holds the buffers that pages are made in. Some hold secrets, so they are
// cleared before they are given back.
var rendered = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const largestPooled = 1 << 20

func release(b *bytes.Buffer) {
	if b.Cap() > largestPooled {
		return
	}
	clear(b.Bytes())
	b.Reset()
	rendered.Put(b)
}

// show answers with a page. It is made as a whole first: an error half way through
// is an error page, and not half a page.
func (v *visit) show(p page) error {
	set, err := v.site.looks.page(p.Template)
	if err != nil {
		return err
	}
	body := rendered.Get().(*bytes.Buffer)
	defer release(body)
	if err := set.ExecuteTemplate(body, "layout", v.view(p)); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", v.site.contentPolicy())
	content := body.Bytes()
	if p.Compressed && acceptsGzip(v.r) {
		content = compress(content)
		h.Set("Content-Encoding", "gzip")
		h.Set("Vary", "Accept-Encoding, "+h.Get("Vary"))
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	status := p.Status
	switch {
	case v.problems != nil:
		status = v.problems.err.Kind.Status()
	case status == 0:
		status = http.StatusOK
	}
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		_, _ = v.w.Write(content)
	}
	return nil
}

func (v *visit) view(p page) view {
	all := view{
		page: p, Path: v.r.URL.Path, Version: v.site.options.Version, CrossOrigin: v.site.assets.origin != "",
		SSOEnabled: v.site.options.SSO() != nil, Form: form{input: v.input, problems: v.problems, kept: v.kept},
	}
	if account, signedIn := v.who.Account(); signedIn {
		all.Me = &account
		all.CSRF = v.site.options.Cookies.FormToken(v.who.SessionID())
	}
	all.Notice = notices[v.site.options.Cookies.TakeNotice(v.w, v.r)]
	return all
}

// contentPolicy is what pages may do (Content Security Policy Level 3): load our own
// scripts, styles and pictures, ask our own API, and send forms to us. Scripts can
// not turn text into markup (Trusted Types).
func (s *Site) contentPolicy() string {
	from := "'self'"
	if s.assets.origin != "" {
		from += " " + s.assets.origin
	}
	return "default-src 'none'; script-src " + from + "; style-src " + from + "; img-src " + from + " data:; font-src " + from +
		"; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'" +
		"; require-trusted-types-for 'script'; trusted-types 'none'"
}

// digestPolicy is the source that allows one text of style in a page.
func digestPolicy(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// csrfField is the name of the field that every form of a session sends.
const csrfField = session.CSRFField
