package session

import (
	"context"
	"net/http"
	"net/netip"
)

// Connection is what the server's outer layer has found out about a request
// from its connection and, as far as they are trusted, from the headers of the
// proxies in front. Nothing behind that layer looks at those headers again.
type Connection struct {
	ID     string     // of the request; correlates answers, logs and audit events
	IP     netip.Addr // of the client
	Secure bool       // the client speaks https, to us or to a trusted proxy
	// Origin is the scheme and host that the request was sent to, if the host is
	// one that ALLOWED_HOSTS names letter by letter; else empty.
	Origin string
}

// Scheme is "https" or "http".
func (c Connection) Scheme() string {
	if c.Secure {
		return "https"
	}
	return "http"
}

type connectionKey struct{}

// WithConnection attaches c to a request.
func WithConnection(r *http.Request, c Connection) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), connectionKey{}, c))
}

// ConnectionOf is what was attached to the request; the zero Connection, which
// is not secure and has no address, if nothing was.
func ConnectionOf(ctx context.Context) Connection {
	c, _ := ctx.Value(connectionKey{}).(Connection)
	return c
}
