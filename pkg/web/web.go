// Package web is the web interface: the pages that people use in a browser, and
// the files that these pages need.
//
// A page is made on the server and works without scripts, except where only a
// script can do a thing, such as writing to the clipboard. What scripts add needs no
// round trip or goes through the API. Handlers translate between HTTP and the
// vault and decide nothing: who may do what is the vault's policy alone, which a
// page's route asks by its action.
//
// Every page carries a Content-Security-Policy that allows it our own files and
// nothing else: no script or style in the page itself, no frame, no other site.
// No page holds a secret's value before somebody has asked to see it.
//
// How a page is added: a [route] in the table of its topic (see pages), a file in
// templates/pages, and what it needs of static. Texts are in the templates.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/oidc"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/vault"
)

// SSO is single sign-on as it is configured at one moment.
type SSO struct {
	Provider *oidc.Provider
	// CreateUnknownUser: who is unknown gets an account.
	CreateUnknownUser bool
}

// Options is what a Site is made of.
type Options struct {
	Vault   *vault.Vault
	Cookies *session.Cookies
	Log     *slog.Logger
	// Config is the settings in use.
	Config *config.Server
	// SSO is the configuration in use, or nil while single sign-on is off. It is
	// asked once for each request.
	SSO func() *SSO
	// SSOAdmin is what administrators do with its settings; it is the server's, as in
	// rest.Options.
	SSOAdmin SSOAdmin
	// Onboard finishes the first run; OnboardingStatus tells whether it is open.
	// They are the server's, as in rest.Options.
	Onboard          func(context.Context, vault.Principal, api.OnboardRequest) (api.OnboardResponse, error)
	OnboardingStatus func(context.Context) (api.OnboardingStatus, error)
	// Document is the OpenAPI document, which a page shows for people.
	Document func() ([]byte, error)
	// NeedsSetupToken: the first run asks for the token that the server has printed.
	NeedsSetupToken bool
	// WithCurrent runs something with the vault that is in service at this moment: the
	// first run ends with another than Vault.
	WithCurrent func(func(*vault.Vault) error) error
	// Version of this program, as pages show it.
	Version string
	// Failed is told every error that a request has ended in; it may be nil.
	Failed func(error)
	// Executed is told the name of every template that is executed; for tests, which
	// find templates that nothing shows. It may be nil.
	Executed func(template string)
}

// Site serves the pages. Make one with New.
type Site struct {
	options Options
	vault   *vault.Vault
	mux     *http.ServeMux
	assets  *assets
	looks   *looks
	docs    func() (*apiDocs, error) // made when they are first wanted
}

// New builds the pages. An error is a defect of a template.
func New(o Options) (*Site, error) {
	files, err := newAssets(o.Config.Static.URL)
	if err != nil {
		return nil, err
	}
	s := &Site{options: o, vault: o.Vault, mux: http.NewServeMux(), assets: files}
	if s.looks, err = newLooks(files, o.Executed); err != nil {
		return nil, err
	}
	s.docs = sync.OnceValues(func() (*apiDocs, error) { return newAPIDocs(o.Document) })
	for _, r := range s.routes() {
		s.mount(r)
	}
	s.mux.Handle("GET "+files.path, files)
	return s, nil
}

// ServeHTTP answers a request for a page or one of its files.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u := &unrouted{answer: w}
	if s.mux.ServeHTTP(u, r); u.matched {
		return
	}
	v, failure := s.newVisit(w, r), errNoPage
	if u.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", u.Header().Get("Allow"))
		failure = fault.New(fault.MethodNotAllowed, "This page can not be asked for in this way. Go back and try again.")
	}
	if err := v.identify(); err != nil { //nolint:contextcheck // a visit is the request's context
		s.fail(v, err) //nolint:contextcheck // as above
		return
	}
	s.fail(v, failure) //nolint:contextcheck // as above
}

// errNoPage is the answer for a page that does not exist, and the same for one that
// the caller may not know of.
var errNoPage = fault.New(fault.NotFound, "Check the address. If it is right, what was here is gone, or you are not a member of its project.")

// unrouted is what the mux answers to. What it says itself, because no route
// matches, is kept from the browser, which gets a page of ours instead; a route
// takes the browser's end out of it.
type unrouted struct {
	answer  http.ResponseWriter
	matched bool
	header  http.Header
	status  int
}

func (u *unrouted) Header() http.Header {
	if u.header == nil {
		u.header = make(http.Header)
	}
	return u.header
}

func (u *unrouted) Write(b []byte) (int, error) { return len(b), nil }
func (u *unrouted) WriteHeader(status int)      { u.status = status }

// taken is what a matched request is answered to.
func taken(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(*unrouted); ok {
		u.matched = true
		return u.answer
	}
	return w
}
