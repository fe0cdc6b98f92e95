// Package oidc makes Heartlock a client (relying party) of an OpenID provider:
// the authorization code flow of OpenID Connect Core 1.0 with PKCE (RFC 7636,
// always S256).
//
// Who someone is comes from the userinfo endpoint alone, asked over TLS with the
// access token just obtained. An ID token is either verified fully, if the issuer
// is configured, and must then be about the same subject; or it is not looked at
// at all. There is nothing between.
//
// The provider is another party, and its addresses are typed in by people: see
// transport.go for what is connected to and what is not. What the provider says in
// an error is neither shown nor logged, but for the codes of an allow list.
//
// The package keeps no state of a sign-in: state, nonce and PKCE verifier are the
// caller's. Errors are of package fault. Nothing here logs.
package oidc

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Config says which provider there is and how it knows Heartlock. Its addresses
// are absolute URLs without a fragment or a user name.
type Config struct {
	// Issuer switches the verification of ID tokens on: its discovery document
	// says where the keys are. Empty: ID tokens are not looked at.
	Issuer string
	// ClientID and ClientSecret are Heartlock's at the provider. Without a secret it
	// is a public client, which PKCE alone protects.
	ClientID     string
	ClientSecret func() string // nil or "" = public client; a function, so that no printer shows it

	AuthorizationEndpoint string // may have a query
	TokenEndpoint         string
	UserinfoEndpoint      string
	EndSessionEndpoint    string // optional; may have a query
	Scopes                []string
	// RedirectURI is the address of the callback; empty: CallbackPath at the host
	// that the browser came to.
	RedirectURI  string
	CallbackPath string

	// AllowHTTP allows plain http to any host. It is for development; without it
	// only a loopback host may be asked in plain text.
	AllowHTTP bool
	// Now is the clock that ID tokens are judged by; nil is time.Now.
	Now func() time.Time
}

// Provider is one configured provider. Make one with New; it is safe for
// concurrent use and holds no connections open.
type Provider struct {
	config Config
	client *http.Client

	discovery  sync.Mutex
	verifier   *gooidc.IDTokenVerifier
	discovered time.Time
}

// New makes a provider. It asks the provider nothing: a provider that is away
// must not keep the server from starting.
func New(c Config) (*Provider, error) {
	for _, endpoint := range []struct {
		name, text string
		optional   bool
	}{
		{"authorization endpoint", c.AuthorizationEndpoint, false},
		{"token endpoint", c.TokenEndpoint, false},
		{"userinfo endpoint", c.UserinfoEndpoint, false},
		{"end session endpoint", c.EndSessionEndpoint, true},
		{"issuer", c.Issuer, true},
	} {
		if endpoint.text == "" && endpoint.optional {
			continue
		}
		if err := checkURL(endpoint.text, c.AllowHTTP); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "Single sign-on: the "+endpoint.name+" is not an absolute https URL.")
		}
	}
	if c.ClientID == "" {
		return nil, fault.New(fault.Invalid, "Single sign-on: the client id is missing.")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Scopes = slices.Clone(c.Scopes)
	return &Provider{config: c, client: newClient(c.AllowHTTP)}, nil
}

// ID names the provider where identities are stored: the issuer or, without one,
// the address of the userinfo endpoint.
func (p *Provider) ID() string {
	if p.config.Issuer != "" {
		return p.config.Issuer
	}
	return p.config.UserinfoEndpoint
}

// FormerID is what this same provider was called before its issuer was
// configured; "" if no issuer is.
func (p *Provider) FormerID() string {
	if p.config.Issuer != "" {
		return p.config.UserinfoEndpoint
	}
	return ""
}

// RedirectURI is the address that the provider sends the browser back to: the
// configured one, else the callback at origin, which is the scheme and host that
// the browser came to, if that may be trusted, or "". It must be the same when a
// sign-in begins and when it ends.
func (p *Provider) RedirectURI(origin string) (string, error) {
	if p.config.RedirectURI != "" {
		return p.config.RedirectURI, nil
	}
	if origin == "" {
		return "", fault.New(fault.Invalid, "Single sign-on needs to know the server's public address. Set HEARTLOCK_APP_URL or OIDC_REDIRECT_URI.")
	}
	return origin + p.config.CallbackPath, nil
}

// AuthorizationURL is where the browser is sent to sign in. verifier is the PKCE
// verifier (RFC 7636: 43 characters or more), of which only the digest is in the
// address. Parameters that the endpoint has already are kept, but none of ours can
// be overridden by them.
func (p *Provider) AuthorizationURL(state, nonce, verifier, redirectURI string) string {
	base, err := url.Parse(p.config.AuthorizationEndpoint)
	if err != nil { // New has checked it
		return ""
	}
	query := base.Query()
	base.RawQuery = ""
	ours := p.oauth(redirectURI, base.String()).AuthCodeURL(state,
		oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("nonce", nonce))
	_, encoded, _ := strings.Cut(ours, "?")
	add, _ := url.ParseQuery(encoded) // oauth2 has just encoded it
	for name, values := range add {
		query[name] = values
	}
	base.RawQuery = query.Encode()
	return base.String()
}

// LogoutURL is where the browser is sent to end its session at the provider too
// (OpenID Connect RP-Initiated Logout 1.0), which then sends it on to back; ""
// if the provider has no such place.
func (p *Provider) LogoutURL(back string) string {
	if p.config.EndSessionEndpoint == "" {
		return ""
	}
	u, err := url.Parse(p.config.EndSessionEndpoint)
	if err != nil { // New has checked it
		return ""
	}
	query := u.Query()
	query.Set("client_id", p.config.ClientID)
	if back != "" {
		query.Set("post_logout_redirect_uri", back)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// oauth is the client for one sign-in. How the client proves itself is said and
// not tried out: trying sends the code twice, and a code that comes twice revokes
// what it gave (RFC 6749 4.1.2). With a secret it is HTTP Basic, which every
// provider must support (2.3.1); without one only the id is sent.
func (p *Provider) oauth(redirectURI, authorizationEndpoint string) *oauth2.Config {
	style := oauth2.AuthStyleInHeader
	if p.secret() == "" {
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: p.config.ClientID, ClientSecret: p.secret(), RedirectURL: redirectURI, Scopes: p.config.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: authorizationEndpoint, TokenURL: p.config.TokenEndpoint, AuthStyle: style},
	}
}

func (p *Provider) secret() string {
	if p.config.ClientSecret == nil {
		return ""
	}
	return p.config.ClientSecret()
}

// IssuedBy reports whether an answer that names its issuer (the parameter "iss" of
// RFC 9207) comes from this provider. Without the parameter, or without a
// configured issuer, there is nothing to compare.
func (p *Provider) IssuedBy(issuer string) bool {
	return issuer == "" || p.config.Issuer == "" || issuer == p.config.Issuer
}
