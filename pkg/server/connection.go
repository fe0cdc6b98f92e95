package server

import (
	"crypto/rand"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/session"
)

// connectionOf finds out who is at the other end. Forwarding headers count only
// from trusted proxies; X-Forwarded-Host, Forwarded, X-Real-IP and the like are
// never read.
func connectionOf(r *http.Request, trusted config.TrustedProxies) session.Connection {
	peer, isSocket := peerOf(r.RemoteAddr)
	believed := isSocket || trusted.Trusts(peer)
	c := session.Connection{ID: rand.Text(), IP: peer, Secure: r.TLS != nil}
	if proto, sent := r.Header["X-Forwarded-Proto"]; sent && believed {
		first, _, _ := strings.Cut(proto[0], ",")
		c.Secure = strings.EqualFold(strings.TrimSpace(first), "https")
	}
	if believed && trusted.ForwardedFor {
		c.IP = clientOf(r.Header["X-Forwarded-For"], peer, trusted)
	}
	return c
}

// peerOf reads the address of the connection; a unix socket has none.
func peerOf(remote string) (address netip.Addr, isSocket bool) {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Addr{}, true
	}
	address, err = netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false
	}
	return address.Unmap().WithZone(""), false
}

// clientOf walks the addresses that the proxies have noted from the nearest to
// the farthest. The first that is no trusted proxy is the client: what stands
// before it, the client may have written himself. Garbage ends the walk.
func clientOf(lines []string, peer netip.Addr, trusted config.TrustedProxies) netip.Addr {
	hops := strings.Split(strings.Join(lines, ","), ",")
	client := peer
	for i := len(hops) - 1; i >= 0; i-- {
		address, ok := hopAddress(hops[i])
		if !ok {
			return client
		}
		client = address
		if !trusted.Trusts(address) {
			return client
		}
	}
	return client
}

// hopAddress reads one address of X-Forwarded-For, with or without brackets and
// port.
func hopAddress(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return address.Unmap().WithZone(""), err == nil
}
