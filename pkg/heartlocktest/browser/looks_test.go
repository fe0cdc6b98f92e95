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
	act func(tab *browser.Tab, w *world)
}

func at(path string) func(*world) string { return func(*world) string { return path } }

func nobody(*world) *heartlocktest.Caller     { return nil }
func newcomer(w *world) *heartlocktest.Caller { return w.newcomer }
func viewer(w *world) *heartlocktest.Caller   { return w.viewer }

var (
	filled = []string{typical.name, full.name} // the worlds with secrets and people
	one    = []string{typical.name}            // for what looks the same everywhere
)

const (
	project     = "/projects/" + projectSlug + "/"
	development = project + "environments/development/"
)

// looks is the table of all pages. A new page needs a line, and a new state of one
// deserves one.
var looks = []look{
	{name: "sign-in", pattern: "/login/", path: at("/login/"), who: nobody},
	{name: "sign-in-refused", path: at("/login/"), who: nobody, in: one, act: func(tab *browser.Tab, _ *world) {
		tab.Allow(http.StatusUnauthorized)
		tab.Fill("Email", "ada@example.com")
		tab.Fill("Password", "wrong horse battery")
		tab.Click("Sign in")
		tab.WantText("Invalid email or password.")
	}},
	{name: "sign-in-sso", path: at("/login/"), who: nobody, in: []string{withSSO}},
	{name: "reset-request", pattern: "/password-reset/", path: at("/password-reset/"), who: nobody, in: []string{empty.name, withSSO}},
	{name: "reset-sent", pattern: "/password-reset/sent/", path: at("/password-reset/sent/"), who: nobody, in: one},
	{name: "reset", pattern: "/password-reset/{token}/", path: func(w *world) string { return w.reset }, who: nobody, in: one},
	{name: "reset-over", path: at("/password-reset/not-a-link/"), who: nobody, in: one, status: http.StatusGone},
	{name: "invitation", path: func(w *world) string { return "/invitations/" + w.invitation + "/" }, who: nobody, in: one},
	{name: "invitation-back", pattern: "/invitations/{token}/", path: func(w *world) string { return "/invitations/" + w.invited + "/" }, who: newcomer, in: one},
	{name: "invitation-of-another", path: func(w *world) string { return "/invitations/" + w.invited + "/" }, in: one},
	{name: "invitation-none", pattern: "/invitations/", path: at("/invitations/"), who: nobody, in: one, status: http.StatusNotFound},
	{name: "first-run-over", pattern: "/onboarding/", path: at("/onboarding/"), in: one, status: http.StatusNotFound},
	{name: "first-run", path: at("/"), who: nobody, in: []string{unset}},
	{name: "first-run-off", path: at("/"), who: nobody, in: []string{closed}, status: http.StatusNotFound},

	{name: "home", pattern: "/", path: at("/"), in: one},
	{name: "projects", pattern: "/projects/", path: at("/projects/")},
	{name: "projects-none", path: at("/projects/"), who: newcomer, in: []string{empty.name}},
	{name: "not-found", path: at("/projects/nowhere/"), status: http.StatusNotFound, in: one},
	{name: "not-found-anonymous", path: at("/nowhere/"), who: nobody, status: http.StatusNotFound, in: one},
	{name: "forbidden", path: at("/admin/"), who: newcomer, status: http.StatusForbidden, in: one},

	{name: "project", pattern: "/projects/{project}/", path: at(project), in: one},
	{name: "project-without-environments", path: at("/projects/bare/"), in: []string{empty.name}},
	{name: "members", pattern: "/projects/{project}/members/", path: at(project + "members/")},
	{name: "invite", path: at(project + "members/"), in: one, act: func(tab *browser.Tab, _ *world) { tab.Click("Invite") }},
	{
		name: "member", pattern: "/projects/{project}/members/{user}/", in: filled,
		path: func(w *world) string { return project + "members/" + w.memberID + "/" },
	},
	{name: "tokens", pattern: "/projects/{project}/tokens/", path: at(project + "tokens/")},
	{name: "token-new", pattern: "/projects/{project}/tokens/new/", path: at(project + "tokens/new/")},
	{name: "settings", pattern: "/projects/{project}/settings/", path: at(project + "settings/")},
	{name: "audit", pattern: "/projects/{project}/audit/", path: at(project + "audit/")},

	{name: "secrets", pattern: "/projects/{project}/environments/{environment}/", path: at(development)},
	{name: "secrets-adding", path: at(development), in: one, act: func(tab *browser.Tab, _ *world) { tab.Only("link").Any().Click("Add secret") }},
	{name: "secrets-read-only", path: at(project + "environments/production/"), who: viewer, in: filled},
	{
		name: "secret", pattern: "/projects/{project}/environments/{environment}/secrets/{key}/", in: filled,
		path: func(w *world) string { return development + "secrets/" + w.key + "/" },
	},
	{
		name: "secret-history", pattern: "/projects/{project}/environments/{environment}/secrets/{key}/history/", in: filled,
		path: func(w *world) string { return development + "secrets/" + w.key + "/history/" },
	},
	{name: "history", pattern: "/projects/{project}/environments/{environment}/history/", path: at(development + "history/")},
	{name: "revision", pattern: "/projects/{project}/environments/{environment}/history/{revision}/", in: filled, path: at(development + "history/2/")},
	{name: "restore", path: at(development + "history/2/"), in: one, act: func(tab *browser.Tab, _ *world) { tab.Click("Restore this state…") }},
	{name: "deleted", pattern: "/projects/{project}/environments/{environment}/deleted/", path: at(development + "deleted/")},
	{name: "import", pattern: "/projects/{project}/environments/{environment}/import/", path: at(development + "import/")},
	{name: "import-preview", path: at(development + "import/"), in: filled, act: func(tab *browser.Tab, _ *world) {
		tab.Fill("Secrets", dotenv+"LOG_LEVEL=debug\n")
		tab.Click("Preview")
	}},
	{name: "export", pattern: "/projects/{project}/environments/{environment}/export/", path: at(development + "export/")},
	{name: "export-shown", path: at(development + "export/"), in: one, act: func(tab *browser.Tab, _ *world) { tab.Click("Show it here") }},
	{name: "matrix", pattern: "/projects/{project}/matrix/", path: at(project + "matrix/")},
	{name: "matrix-copy", pattern: "/projects/{project}/matrix/copy/", path: at(project + "matrix/copy/?key=AWS_ACCESS_KEY_ID&to=staging"), in: filled},
	{name: "compare", pattern: "/projects/{project}/compare/", path: at(project + "compare/?from=development&to=staging")},
	{name: "promotion", path: at(project + "compare/?from=development&to=staging"), in: one, act: func(tab *browser.Tab, _ *world) {
		tab.Check("Select all that can be copied", true)
		tab.Click("Preview the selected")
	}},

	{name: "profile", pattern: "/account/", path: at("/account/")},
	{name: "password", pattern: "/account/password/", path: at("/account/password/")},
	{name: "second-factor", pattern: "/account/second-factor/", path: at("/account/second-factor/")},
	{name: "second-factor-confirm", pattern: "/account/second-factor/confirm/", path: at("/account/second-factor/confirm/"), in: one},
	{name: "recovery-codes", pattern: "/account/second-factor/recovery-codes/", path: at("/account/second-factor/recovery-codes/"), in: one},
	{name: "second-factor-setup", path: at("/account/second-factor/"), in: one, who: viewer, act: func(tab *browser.Tab, _ *world) {
		tab.Fill("Password", heartlocktest.Password)
		tab.Click("Set up")
		tab.WantText("Add Heartlock to the app")
	}},
	{name: "sessions", pattern: "/account/sessions/", path: at("/account/sessions/")},
	{name: "own-tokens", pattern: "/account/tokens/", path: at("/account/tokens/")},
	{name: "identities", pattern: "/account/identities/", path: at("/account/identities/"), in: []string{withSSO}},

	{name: "admin-status", pattern: "/admin/", path: at("/admin/")},
	{name: "admin-users", pattern: "/admin/users/", path: at("/admin/users/")},
	{name: "admin-user-new", pattern: "/admin/users/new/", path: at("/admin/users/new/"), in: one},
	{name: "admin-user", pattern: "/admin/users/{user}/", path: func(w *world) string { return "/admin/users/" + w.newcomer.UserID + "/" }},
	{
		name: "admin-user-reset", pattern: "/admin/users/{user}/reset-password/", in: one,
		path: func(w *world) string { return "/admin/users/" + w.newcomer.UserID + "/reset-password/" },
	},
	{name: "admin-projects", pattern: "/admin/projects/", path: at("/admin/projects/")},
	{name: "admin-join", pattern: "/admin/projects/{project}/join/", path: at("/admin/projects/foreign/join/"), in: one},
	{name: "admin-oidc", pattern: "/admin/oidc/", path: at("/admin/oidc/"), in: []string{empty.name, withSSO}},
	{name: "admin-oidc-test", pattern: "/admin/oidc/test/", path: at("/admin/oidc/test/"), in: one},
	{name: "admin-mail", pattern: "/admin/mail/", path: at("/admin/mail/")},
	{name: "admin-mail-test", pattern: "/admin/mail/test/", path: at("/admin/mail/test/"), in: one},
	{name: "admin-audit", pattern: "/admin/audit/", path: at("/admin/audit/")},

	{name: "cli-login", pattern: "/cli/login/", path: func(w *world) string { return "/cli/login/?" + w.cliLogin }, in: one},
	{name: "device-code", pattern: "/device/", path: at("/device/"), in: one},
	{name: "device", path: at("/device/"), in: one, act: func(tab *browser.Tab, w *world) {
		tab.Fill("Code", w.deviceCode)
		tab.Click("Continue")
	}},

	{name: "api-docs", pattern: "/api/docs/", path: at("/api/docs/"), in: one},
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
		usual := slices.Contains([]string{empty.name, typical.name, full.name}, world)
		if l.in == nil && usual || slices.Contains(l.in, world) {
			chosen = append(chosen, l)
		}
	}
	return chosen
}

// tab is a new tab of who looks.
func (l look) tab(t *testing.T, w *world, options ...browser.Option) *browser.Tab {
	t.Helper()
	who := w.owner
	if l.who != nil {
		who = l.who(w)
	}
	tab := browser.NewTab(t, w.base, append(options, browser.SelfSigned)...)
	if who != nil {
		tab.SignIn(who.Cookies)
	}
	return tab
}

// finish brings the page into its state.
func (l look) finish(tab *browser.Tab, w *world) {
	if l.act != nil {
		l.act(tab, w)
	}
	if l.status != 0 {
		tab.WantStatus(l.status)
	} else {
		tab.WantStatus(http.StatusOK)
	}
}
