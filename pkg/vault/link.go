package vault

import (
	"github.com/heartlock/heartlock/pkg/fault"
)

// errNoLink says what is missing for a link that leaves the server.
var errNoLink = fault.New(fault.Invalid,
	"The server does not know its public address, which a link needs. Set HEARTLOCK_APP_URL, or name the host in ALLOWED_HOSTS and use that.")

// UseAppURL goes on with another public address, or with none (""), from the next
// link on.
func (v *Vault) UseAppURL(address string) { v.appURL.Store(&address) }

// link is the address of a page of this server, for a mail or for a person to
// pass on. It is built from HEARTLOCK_APP_URL; without that, from the host that
// the request was sent to, if ALLOWED_HOSTS names it letter by letter (see
// Request.Origin). What else a request says of itself can be forged.
//
// path begins with "/" and holds a secret in most cases: it is not logged.
func (v *Vault) link(p Principal, path string) (string, error) {
	base := *v.appURL.Load()
	if base == "" {
		base = p.Request.Origin
	}
	if base == "" {
		return "", errNoLink
	}
	return base + path, nil
}
