package client

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// Defaults of [Options].
const (
	DefaultTimeout          = 30 * time.Second
	DefaultMaxResponseBytes = 16 << 20
)

// Options is what a Client is made from.
type Options struct {
	// Server is the origin of the server: scheme, host and, if need be, port.
	Server string
	// Token is a personal token or a service token. Without one only the
	// endpoints that are open to everybody answer.
	Token api.Value
	// UserAgent names the program in the server's audit trail; "" = "heartlock-go".
	UserAgent string
	// InsecureHTTP allows the token to be sent over plain http to other machines,
	// where everybody on the way can read it and the answer.
	InsecureHTTP bool
	// Timeout bounds one request from its start until the answer is read;
	// 0 = DefaultTimeout.
	Timeout time.Duration
	// MaxResponseBytes is the longest answer that is read; 0 = DefaultMaxResponseBytes.
	MaxResponseBytes int64
	// Transport carries the requests; nil = one like http.DefaultTransport. Give
	// another one for a private certificate authority, for example.
	Transport http.RoundTripper
}

// Client is a connection to one server as one caller. It is safe for use by
// several goroutines at once.
type Client struct {
	origin    string
	token     func() string // "" when there is none; a function, because fmt prints unexported fields
	userAgent string
	timeout   time.Duration
	maxBytes  int64
	// exposed: it is plain http to another machine, and nobody has allowed that.
	exposed bool
	// transport and not an http.Client, which would follow redirects and take the
	// Authorization header along to another port, another scheme and to subdomains.
	transport http.RoundTripper
}

// New checks the options and makes a Client; it opens no connection. What is
// wrong with them is a [fault.Usage].
func New(o Options) (*Client, error) {
	server, err := parseServer(o.Server)
	if err != nil {
		return nil, err
	}
	if err := checkToken(o.Token); err != nil {
		return nil, err
	}
	exposed := server.Scheme == "http" && !o.InsecureHTTP && !isLoopback(server.Hostname())
	if o.Token.Len() > 0 && exposed {
		return nil, fault.Newf(fault.Usage,
			"The token was not sent: %s is plain http, where everybody on the way can read it. Use https, or allow it with --insecure-http (InsecureHTTP).", origin(server))
	}
	c := &Client{
		origin:    origin(server),
		token:     o.Token.Reveal,
		userAgent: o.UserAgent,
		timeout:   o.Timeout,
		maxBytes:  o.MaxResponseBytes,
		exposed:   exposed,
		transport: o.Transport,
	}
	if c.transport == nil {
		c.transport = newTransport()
	}
	if c.userAgent == "" {
		c.userAgent = "heartlock-go"
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.maxBytes <= 0 {
		c.maxBytes = DefaultMaxResponseBytes
	}
	return c, nil
}

// Origin is the server's address in the form that token stores use as a key:
// "https://secrets.example.com", lower case, without a default port.
func (c *Client) Origin() string { return c.origin }

// Close gives up the connections that are kept for further requests.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// newTransport is a copy of the default one, so that Close does not end the
// connections of others.
func newTransport() http.RoundTripper {
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		return t.Clone()
	}
	return http.DefaultTransport
}

// parseServer reads the address of a server and refuses what is more than an
// origin. A user name or password in it is not repeated.
func parseServer(text string) (*url.URL, error) {
	if text == "" {
		return nil, fault.New(fault.Usage, "No server is given.")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		return nil, fault.New(fault.Usage, "The address of the server is not an http or https address such as https://secrets.example.com.")
	case u.User != nil:
		return nil, fault.New(fault.Usage, "The address of the server must not hold a user name or a password; the token says who asks.")
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, fault.Newf(fault.Usage, "The address of the server must end after the host and port: %s.", origin(u))
	}
	return u, nil
}

// origin spells scheme, host and port as browsers do (RFC 6454, section 6.2).
func origin(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	port := u.Port()
	if port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return u.Scheme + "://" + host
	}
	return u.Scheme + "://" + net.JoinHostPort(host, port)
}

// isLoopback reports whether host is this machine, as far as its spelling tells.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// checkToken refuses what can not stand in a header, such as a line break that
// was read together with the token.
func checkToken(token api.Value) error {
	for _, b := range []byte(token.Reveal()) {
		if b <= ' ' || b >= 0x7f {
			return fault.New(fault.Usage, "The token holds a space, a line break or another character that no token has.")
		}
	}
	return nil
}
