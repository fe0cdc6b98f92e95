package server

import (
	"net/http"

	"github.com/heartlock/heartlock/pkg/config"
)

// What pages of another origin may use (https://fetch.spec.whatwg.org, "CORS
// protocol"): the values that the first Heartlock answered with. Cookies are
// not among it: such a page acts by a token only.
const (
	corsMethods = "DELETE, GET, OPTIONS, PATCH, POST, PUT"
	corsHeaders = "accept, authorization, content-type, user-agent, x-csrftoken, x-requested-with, if-match, if-none-match, idempotency-key"
	corsExposed = "ETag, Retry-After, X-Request-ID"
	corsMaxAge  = "86400"
)

// allowOrigin adds the CORS headers to an answer of the API if the request comes
// from a page of an allowed origin. It reports whether the request is a
// preflight, which is then answered: before the host, the transport and the
// caller are looked at, because browsers send it without credentials and take no
// redirect.
func allowOrigin(w http.ResponseWriter, r *http.Request, allowed config.Origins) (preflight bool) {
	if !isAPI(r.URL.Path) || len(allowed.List()) == 0 {
		return false
	}
	asks := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	if origins := r.Header["Origin"]; len(origins) == 1 && allowed.Match(origins[0]) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origins[0])
		h.Set("Access-Control-Expose-Headers", corsExposed)
		if asks {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", corsHeaders)
			h.Set("Access-Control-Max-Age", corsMaxAge)
		}
	}
	return asks
}
