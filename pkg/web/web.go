// Package web is what Heartlock answers to people's browsers beside the API: so
// far the two addresses of single sign-on.
//
// Handlers translate between HTTP and the vault and decide nothing. Every page
// carries a Content-Security-Policy of its own that allows it no more than it
// needs, and holds no text that a stranger has chosen.
package web

import (
	"log/slog"
	"net/http"
	"strings"

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
	// SSO is the configuration in use, or nil while single sign-on is off. It is
	// asked once for each request.
	SSO func() *SSO
	// Failed is told every error that a request has ended in; it may be nil.
	Failed func(error)
}

// Site serves the pages. Make one with New.
type Site struct {
	options Options
	routes  map[string]func(http.ResponseWriter, *http.Request) error // by path, without the last slash
}

// New builds the pages.
func New(o Options) *Site {
	s := &Site{options: o}
	s.routes = map[string]func(http.ResponseWriter, *http.Request) error{
		"/oidc/login":    s.beginSSO,
		"/oidc/callback": s.finishSSO,
	}
	return s
}

// Serves reports whether a path is one of the site's.
func (s *Site) Serves(path string) bool { return strings.HasPrefix(path, session.AttemptPath) }

// ServeHTTP answers a request for a page. Pages are only read: other methods are
// refused.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve, found := s.routes[strings.TrimSuffix(r.URL.Path, "/")]
	var err error
	switch {
	case !found:
		err = fault.New(fault.NotFound, "There is no such page.")
	case r.Method != http.MethodGet: // not HEAD either: these pages act
		w.Header().Set("Allow", http.MethodGet)
		err = fault.New(fault.MethodNotAllowed, "This page can only be read.")
	default:
		err = serve(w, r)
	}
	if err != nil {
		s.fail(w, r, err)
	}
}

// caller is who a browser is signed in as, or nobody.
func (s *Site) caller(r *http.Request) (vault.Principal, error) {
	connection := session.ConnectionOf(r.Context())
	request := vault.Request{ID: connection.ID, IP: connection.IP, UserAgent: r.UserAgent(), Origin: connection.Origin}
	token := s.options.Cookies.Token(r)
	if token == "" {
		return vault.Anonymous(request), nil
	}
	who, err := s.options.Vault.IdentifySession(r.Context(), token, request)
	if err != nil && fault.KindOf(err) == fault.Unauthenticated {
		return vault.Anonymous(request), nil // an ended session is as good as none
	}
	return who, err
}
