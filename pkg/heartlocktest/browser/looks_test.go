//go:build unix

package browser_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/heartlocktest/browser"
	"github.com/heartlock/heartlock/pkg/web"
)

// look is a page as it is looked at: by one person, in one state. What is in the
// table is checked for barriers in both schemes, weighed, shrunk to a phone, walked
// through with the Tab key, and pictured.
type look struct {
	// name of its pictures; looks have different ones.
	name string
	// pattern is the page's in web.Pages; empty for what is no page of its own.
	pattern string
	path    func(w *world) string
	// who looks; nil: the owner.
	who func(w *world) *heartlocktest.Caller
	// in are the names of the worlds in which the page can be looked at; nil: all
	// those that are set up.
	in []string
	// status of the answer; 0: 200.
	status int
	// act brings the page into the state that is looked at.
	act func(tab *browser.Tab)
}

func at(path string) func(*world) string { return func(*world) string { return path } }

func nobody(*world) *heartlocktest.Caller     { return nil }
func newcomer(w *world) *heartlocktest.Caller { return w.newcomer }
func viewer(w *world) *heartlocktest.Caller   { return w.viewer }

// filled are the worlds with secrets and people.
var filled = []string{typical.name, full.name}

const (
	project     = "/projects/" + projectSlug + "/"
	development = project + "environments/development/"
)

// looks is the table of all pages. A new page needs a line, and a new state of one
// deserves one.
var looks = []look{
	{name: "sign-in", pattern: "/login/", path: at("/login/"), who: nobody},
	{name: "sign-in-refused", path: at("/login/"), who: nobody, in: []string{typical.name}, status: http.StatusUnauthorized, act: func(tab *browser.Tab) {
		tab.Allow(http.StatusUnauthorized)
		tab.Fill("Email", "ada@example.com")
		tab.Fill("Password", "wrong horse battery")
		tab.Click("Sign in")
		tab.WantText("Invalid email or password.")
	}},
	{name: "home", pattern: "/", path: at("/")},
	{name: "projects", pattern: "/projects/", path: at("/projects/")},
	{name: "projects-none", path: at("/projects/"), who: newcomer, in: []string{empty.name}},
	{name: "not-found", path: at("/projects/nowhere/"), status: http.StatusNotFound, in: []string{typical.name}},
	{name: "not-found-anonymous", path: at("/nowhere/"), who: nobody, status: http.StatusNotFound, in: []string{typical.name}},

	{name: "project", pattern: "/projects/{project}/", path: at(project)},
	{name: "secrets", pattern: "/projects/{project}/environments/{environment}/", path: at(development)},
	{name: "secrets-read-only", path: at(project + "environments/production/"), who: viewer, in: filled},
	{name: "secret", pattern: "/projects/{project}/environments/{environment}/secrets/{key}/", in: filled,
		path: func(w *world) string { return development + "secrets/" + w.key + "/" }},
	{name: "secret-history", pattern: "/projects/{project}/environments/{environment}/secrets/{key}/history/", in: filled,
		path: func(w *world) string { return development + "secrets/" + w.key + "/history/" }},
	{name: "history", pattern: "/projects/{project}/environments/{environment}/history/", path: at(development + "history/")},
	{name: "revision", pattern: "/projects/{project}/environments/{environment}/history/{revision}/", in: filled, path: at(development + "history/2/")},
	{name: "deleted", pattern: "/projects/{project}/environments/{environment}/deleted/", path: at(development + "deleted/")},

	{name: "profile", pattern: "/account/", path: at("/account/")},
	{name: "password", pattern: "/account/password/", path: at("/account/password/")},
	{name: "second-factor", pattern: "/account/second-factor/", path: at("/account/second-factor/")},
	{name: "second-factor-confirm", pattern: "/account/second-factor/confirm/", path: at("/account/second-factor/confirm/")},
	{name: "recovery-codes", pattern: "/account/second-factor/recovery-codes/", path: at("/account/second-factor/recovery-codes/")},
	{name: "sessions", pattern: "/account/sessions/", path: at("/account/sessions/")},
	{name: "own-tokens", pattern: "/account/tokens/", path: at("/account/tokens/")},
	{name: "identities", pattern: "/account/identities/", path: at("/account/identities/")},

	{name: "cli-login", pattern: "/cli/login/", path: func(w *world) string { return "/cli/login/?" + w.cliLogin }},
	{name: "device-code", pattern: "/device/", path: at("/device/")},
	{name: "device", path: at("/device/"), in: []string{typical.name}},

	{name: "api-docs", pattern: "/api/docs/", path: at("/api/docs/")},
}

// TestEveryPageIsLookedAt fails for a page without a line in looks, and for a line
// without a page.
func TestEveryPageIsLookedAt(t *testing.T) {
	t.Parallel()
	pages := web.Pages()
	for _, pattern := range pages {
		if !slices.ContainsFunc(looks, func(l look) bool { return l.pattern == pattern }) {
			t.Errorf("the page %s is looked at by no test: give it a line in looks", pattern)
		}
	}
	names := map[string]bool{}
	for _, l := range looks {
		if l.pattern != "" && !slices.Contains(pages, l.pattern) {
			t.Errorf("there is no page %s any more", l.pattern)
		}
		if names[l.name] {
			t.Errorf("two looks are called %s", l.name)
		}
		names[l.name] = true
	}
}

// looksIn are the looks at a world.
func looksIn(world string) (chosen []look) {
	for _, l := range looks {
		setUp := slices.Contains([]string{empty.name, typical.name, full.name}, world)
		if l.in == nil && setUp || slices.Contains(l.in, world) {
			chosen = append(chosen, l)
		}
	}
	return chosen
}

// open opens the page in a new tab and brings it into its state.
func (l look) open(t *testing.T, w *world, options ...browser.Option) *browser.Tab {
	t.Helper()
	tab := l.tab(t, w, options...)
	tab.Open(l.path(w))
	l.finish(tab)
	return tab
}

// tab is a new tab of who looks.
func (l look) tab(t *testing.T, w *world, options ...browser.Option) *browser.Tab {
	t.Helper()
	who := w.owner
	if l.who != nil {
		who = l.who(w)
	}
	tab := browser.NewTab(t, w.URL, options...)
	if who != nil {
		tab.SignIn(who.Cookies)
	}
	return tab
}

// finish brings the page into its state.
func (l look) finish(tab *browser.Tab) {
	if l.act != nil {
		l.act(tab)
	}
	if l.status != 0 {
		tab.WantStatus(l.status)
	} else {
		tab.WantStatus(http.StatusOK)
	}
}
