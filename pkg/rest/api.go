// Package rest is the HTTP interface under /api/v1/: the route table and the
// one adapter that every request goes through.
//
// The adapter bounds the body, finds who calls, checks the request against
// CSRF, asks the policy table whether such a caller may ask at all, decodes the
// parameters and the body strictly, calls the handler and encodes its answer.
// Handlers translate between HTTP and the vault and decide nothing.
//
// Errors are problem documents (RFC 9457). They never hold an input's value nor
// an internal text; the log has the cause under the request's id.
package rest

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/oidc"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/vault"
)

// maxBody bounds a request's body: the largest bulk request that makes sense
// fits.
const maxBody = 1 << 20

// Options is what an API is made of.
type Options struct {
	Vault   *vault.Vault
	Cookies *session.Cookies
	Log     *slog.Logger
	// Onboard finishes the first run. The server does it, because the settings
	// that it may change are the server's.
	Onboard func(context.Context, vault.Principal, api.OnboardRequest) (api.OnboardResponse, error)
	// OnboardingStatus tells whether the first run is open and what the
	// configuration has decided already.
	OnboardingStatus func(context.Context) (api.OnboardingStatus, error)
	// Readiness tells whether the server can do its work; an error is why not.
	Readiness func(context.Context) (api.Readiness, error)
	// SSO reads and changes the settings of single sign-on: they are the server's too.
	SSO SSOAdmin
	// Failed is told every error that a request has ended in; it may be nil.
	Failed func(error)
	// Version stands in the served document.
	Version string
	// Provider is the identity provider in use, or nil while single sign-on is off.
	Provider func() *oidc.Provider
}

// API serves /api/v1/. Make one with New.
type API struct {
	vault    *vault.Vault
	cookies  *session.Cookies
	log      *slog.Logger
	options  Options
	mux      *http.ServeMux
	document func() ([]byte, error) // made when it is first wanted
}

// New builds the routes.
func New(o Options) *API {
	a := &API{vault: o.Vault, cookies: o.Cookies, log: o.Log, options: o, mux: http.NewServeMux()}
	a.document = sync.OnceValues(func() ([]byte, error) { return Document(o.Version) })
	for _, route := range Routes() {
		h := routed(a.adapt(route))
		path := api.Prefix + route.Path
		a.mux.Handle(route.Method+" "+path+"{$}", h)
		a.mux.Handle(route.Method+" "+strings.TrimSuffix(path, "/"), h) // the same without the slash
	}
	a.mux.HandleFunc("GET "+api.Prefix+"/openapi.json", routed(a.serveDocument))
	return a
}

// ServeHTTP answers a request below /api/v1/. What no route matches is 404, and
// 405 with the methods that there are if only the method is wrong.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u := &unrouted{answer: w}
	a.mux.ServeHTTP(u, r)
	switch {
	case u.matched:
	case u.status == http.StatusMethodNotAllowed:
		w.Header().Set("Allow", u.Header().Get("Allow"))
		a.fail(w, r, fault.New(fault.MethodNotAllowed, "This path does not take this method; see the Allow header."))
	default:
		a.fail(w, r, fault.New(fault.NotFound, "Not found."))
	}
}

// unrouted is what the mux answers to. What it says itself, because no route
// matches, is kept from the client, who gets a problem document instead; a route
// takes the client's end out of it.
type unrouted struct {
	answer  http.ResponseWriter
	matched bool
	header  http.Header
	status  int
}

// routed is a handler for the mux.
func routed(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if u, ok := w.(*unrouted); ok {
			u.matched, w = true, u.answer
		}
		h(w, r)
	}
}

func (u *unrouted) Header() http.Header {
	if u.header == nil {
		u.header = make(http.Header)
	}
	return u.header
}

func (u *unrouted) Write(b []byte) (int, error) { return len(b), nil }
func (u *unrouted) WriteHeader(status int)      { u.status = status }

// Document is the OpenAPI document of these routes.
func (a *API) Document() ([]byte, error) { return a.document() }

func (a *API) serveDocument(w http.ResponseWriter, r *http.Request) {
	document, err := a.document()
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(document)))
	_, _ = w.Write(document)
}

// fail answers with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	WriteProblem(w, r, a.log, err)
	if a.options.Failed != nil {
		a.options.Failed(err)
	}
}
