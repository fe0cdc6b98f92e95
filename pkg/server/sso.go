package server

import (
	"sync/atomic"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/oidc"
	"github.com/heartlock/heartlock/pkg/web"
)

// sso holds the identity provider in use, which may be replaced at any moment.
// Whoever needs it asks once for each request, so that one request sees one
// configuration.
type sso struct {
	now atomic.Pointer[web.SSO]
}

// use puts a configuration into service: from the next request on it is the one.
// A configuration that is off, or that can not be used (which is the error), turns
// single sign-on off. debug allows plain http to any host.
func (s *sso) use(cfg config.OIDC, debug bool) error {
	if !cfg.Enabled {
		s.now.Store(nil)
		return nil
	}
	provider, err := newProvider(cfg, debug)
	if err != nil {
		s.now.Store(nil)
		return err
	}
	s.now.Store(&web.SSO{Provider: provider, CreateUnknownUser: cfg.CreateUnknownUser})
	return nil
}

// newProvider makes a provider of its settings; also to try them out.
func newProvider(cfg config.OIDC, debug bool) (*oidc.Provider, error) {
	return oidc.New(oidc.Config{
		Issuer: cfg.Issuer, ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal,
		AuthorizationEndpoint: cfg.AuthorizationEndpoint, TokenEndpoint: cfg.TokenEndpoint, UserinfoEndpoint: cfg.UserinfoEndpoint,
		EndSessionEndpoint: cfg.EndSessionEndpoint, Scopes: cfg.Scopes,
		RedirectURI: cfg.RedirectURI, CallbackPath: config.OIDCCallbackPath, AllowHTTP: debug,
	})
}

// current is the configuration in use; nil while single sign-on is off.
func (s *sso) current() *web.SSO { return s.now.Load() }

// enabled reports whether single sign-on is on.
func (s *sso) enabled() bool { return s.now.Load() != nil }

// provider is the provider in use; nil while single sign-on is off.
func (s *sso) provider() *oidc.Provider {
	if now := s.now.Load(); now != nil {
		return now.Provider
	}
	return nil
}
