package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Bounds on what a provider may cost.
const (
	exchangeTimeout = 8 * time.Second // a whole sign-in; the request around it has 10 s
	requestTimeout  = 8 * time.Second
	dialTimeout     = 4 * time.Second
	maxAnswer       = 1 << 20
)

// Failures of the transport. Their texts are for logs and hold no address.
var (
	errAddressRefused = errors.New("the host has an address that is never connected to (link-local, metadata service, multicast or unspecified)")
	errPlainHTTP      = errors.New("the address is not https")
	errTooLarge       = errors.New("the answer is larger than 1 MiB")
)

// newClient makes the only client that talks to a provider. It keeps no
// connections, so that a provider that is replaced leaves nothing behind; it
// follows no redirects, which could lead anywhere; it looks at the address that a
// name resolves to at the very moment of connecting, so that a name can not
// change in between; and it goes through no proxy of the environment, behind
// which neither could be known. Private and loopback networks are allowed:
// providers of companies live there.
func newClient(allowHTTP bool) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: refuseAddress}
	return &http.Client{
		Timeout: requestTimeout,
		Transport: &guarded{allowHTTP: allowHTTP, inner: &http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: dialTimeout,
			ResponseHeaderTimeout: requestTimeout, MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// guarded holds every request to the rules, also those to addresses that the
// provider itself has named, such as that of its keys.
type guarded struct {
	allowHTTP bool
	inner     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := checkScheme(r.URL, g.allowHTTP); err != nil {
		return nil, err
	}
	answer, err := g.inner.RoundTrip(r)
	if err == nil {
		answer.Body = &bounded{ReadCloser: answer.Body, left: maxAnswer}
	}
	return answer, err
}

// bounded is a body that fails, rather than ends, where it gets too long.
type bounded struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *bounded) Read(to []byte) (int, error) {
	if len(to) > b.left+1 {
		to = to[:b.left+1]
	}
	n, err := b.ReadCloser.Read(to)
	if n > b.left {
		return b.left, errTooLarge
	}
	b.left -= n
	return n, err
}

// checkURL accepts an absolute address that a provider may have.
func checkURL(text string, allowHTTP bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return errors.New("it is not an absolute URL without user name and fragment")
	}
	return checkScheme(u, allowHTTP)
}

func checkScheme(u *url.URL, allowHTTP bool) error {
	if u.Scheme == "https" || u.Scheme == "http" && (allowHTTP || isLoopback(u.Hostname())) {
		return nil
	}
	return errPlainHTTP
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}

// refuseAddress is asked with the address that is about to be connected to.
func refuseAddress(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: not an IP address", errAddressRefused)
	}
	if forbidden(target.Addr()) {
		return errAddressRefused
	}
	return nil
}

// forbidden reports whether an address is one that no provider has, but that
// something else answers at: the metadata services of clouds, which hand out
// credentials, foremost.
func forbidden(address netip.Addr) bool {
	address = embedded(address.WithZone("").Unmap())
	if address.IsLinkLocalUnicast() || address.IsMulticast() || address.IsUnspecified() {
		return true
	}
	for _, network := range []string{
		"0.0.0.0/8", "255.255.255.255/32",
		"fd00:ec2::254/128",  // Amazon's metadata service
		"fd20:ce::254/128",   // Google's
		"100.100.100.200/32", // Alibaba's
		"192.0.0.192/32",     // Oracle's
		"168.63.129.16/32",   // Azure's
	} {
		if netip.MustParsePrefix(network).Contains(address) {
			return true
		}
	}
	return false
}

// embedded is the IPv4 address that an IPv6 address leads to which was made of one,
// by the well-known prefix of NAT64 (RFC 6052), the one for local use (RFC 8215), 6to4
// (RFC 3056), or as IPv4-translated (RFC 2765) or IPv4-compatible (RFC 4291); else the
// address itself.
func embedded(address netip.Addr) netip.Addr {
	if !address.Is6() || address.IsLoopback() || address.IsUnspecified() {
		return address
	}
	b := address.As16()
	if netip.MustParsePrefix("2002::/16").Contains(address) {
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	for _, prefix := range []string{"64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96"} {
		if netip.MustParsePrefix(prefix).Contains(address) {
			return netip.AddrFrom4([4]byte(b[12:16]))
		}
	}
	return address
}

// withDeadline bounds everything that one sign-in asks of the provider.
func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, exchangeTimeout)
}
