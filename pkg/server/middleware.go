package server

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/rest"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/web"
)

// contentSecurityPolicy lets a page load from its own server only, run no script
// that is not a file of ours, and stand in no frame.
const contentSecurityPolicy = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

// requestTimeout bounds the work on a request: a database that hangs must not
// pile requests up.
const requestTimeout = 10 * time.Second

// isProbe reports whether a path is one of those that load balancers ask. They
// send addresses as the host and speak plain http, so neither is checked there.
func isProbe(path string) bool {
	switch strings.TrimSuffix(path, "/") {
	case api.Prefix + "/health", api.Prefix + "/ready":
		return true
	}
	return false
}

// isAPI reports whether a path is answered to programs rather than people.
func isAPI(path string) bool {
	return path == "/api" || strings.HasPrefix(path, "/api/") && path != "/api/docs" && path != "/api/docs/"
}

// refuse answers with an error: a program gets a problem document, a browser a page.
func refuse(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	if isAPI(r.URL.Path) {
		rest.WriteProblem(w, r, log, err)
		return
	}
	web.WriteFailure(w, r, log, err)
}

// edge is what every request passes before it reaches a handler.
type edge struct {
	config *config.Server
	log    *slog.Logger
	inner  http.Handler
	// exposed is told the token of a request that came over plain http.
	exposed func(r *http.Request, token string)
}

// ServeHTTP finds out who is calling, sets the headers of every answer, refuses
// what must not come further, and logs.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	connection := connectionOf(r, e.config.Security.TrustedProxies)
	connection.Origin = e.originOf(r, connection)
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	r = session.WithConnection(r.WithContext(ctx), connection)
	e.setHeaders(w.Header(), connection)
	answer := &answerWriter{ResponseWriter: w}
	defer func() {
		e.recovered(answer, r, recover())
		e.logRequest(r, connection, answer, time.Since(start))
	}()
	if allowOrigin(answer, r, e.config.Security.CORSAllowedOrigins) {
		answer.WriteHeader(http.StatusOK)
		return
	}
	if err := e.check(r); err != nil {
		refuse(answer, r, e.log, err)
		return
	}
	if e.config.Security.SSLRedirect && !connection.Secure && !isProbe(r.URL.Path) {
		e.demandTLS(answer, r)
		return
	}
	e.inner.ServeHTTP(answer, r)
}

// originOf is where the request was sent to, if a link may be built from that. It
// is only looked at where no public address is configured.
func (e *edge) originOf(r *http.Request, c session.Connection) string {
	if e.config.AppURL != "" || !e.config.Hosts.MatchExact(r.Host) {
		return ""
	}
	host, port, ok := config.SplitHost(r.Host)
	if !ok {
		return ""
	}
	if port != "" {
		host += ":" + port
	}
	return c.Scheme() + "://" + host
}

// check refuses what is malformed: a host that is not ours, and paths that two
// programs could read differently.
func (e *edge) check(r *http.Request) error {
	if !isProbe(r.URL.Path) && !e.config.Hosts.Match(r.Host) {
		return fault.New(fault.Invalid, "Invalid Host header.")
	}
	if ambiguous(r.URL.EscapedPath()) {
		return fault.New(fault.NotFound, "Not found.")
	}
	return nil
}

// ambiguous reports whether a path has an empty or dot segment, or an escaped
// separator, NUL or dot: what cleans paths and what does not would disagree.
func ambiguous(escaped string) bool {
	if !strings.HasPrefix(escaped, "/") || strings.Contains(escaped, "//") || strings.ContainsRune(escaped, '\\') {
		return true
	}
	if strings.Contains(escaped, "/.") && hasDotSegment(escaped) {
		return true
	}
	if !strings.ContainsRune(escaped, '%') {
		return false
	}
	lower := strings.ToLower(escaped)
	for _, bad := range []string{"%2f", "%5c", "%00", "%2e"} {
		if strings.Contains(lower, bad) {
			return true
		}
	}
	return false
}

func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// fixedHeaders stand in every answer. The values are shared, so nothing may
// change one in place; http.Header's methods do not.
var fixedHeaders = http.Header{
	"X-Content-Type-Options":       {"nosniff"},
	"X-Frame-Options":              {"DENY"},
	"Referrer-Policy":              {"same-origin"},
	"Cross-Origin-Opener-Policy":   {"same-origin"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"Content-Security-Policy":      {contentSecurityPolicy},
	"Cache-Control":                {"no-store"},
	"Vary":                         {"Cookie, Origin, Authorization"},
}

func (e *edge) setHeaders(h http.Header, connection session.Connection) {
	maps.Copy(h, fixedHeaders)
	h["X-Request-Id"] = []string{connection.ID}
	if connection.Secure {
		if policy := e.hsts(); policy != "" {
			h.Set("Strict-Transport-Security", policy)
		}
	}
}

// hsts is the Strict-Transport-Security header (RFC 6797), or "".
func (e *edge) hsts() string {
	s := &e.config.Security
	if e.config.Debug || s.HSTSSeconds == 0 {
		return ""
	}
	policy := "max-age=" + strconv.FormatInt(int64(s.HSTSSeconds), 10)
	if s.HSTSIncludeSubdomains {
		policy += "; includeSubDomains"
	}
	if s.HSTSPreload {
		policy += "; preload"
	}
	return policy
}

// demandTLS answers a request over plain http. A program is told so and never
// redirected: it would send its token in the clear again, and a redirect turns
// a POST into a GET. A token that came this way is marked as exposed.
func (e *edge) demandTLS(w http.ResponseWriter, r *http.Request) {
	if isAPI(r.URL.Path) {
		if token, ok := rest.BearerToken(r.Header); ok {
			e.exposed(r, token)
		}
		rest.WriteProblem(w, r, e.log, fault.New(fault.Forbidden, "HTTPS is required."))
		return
	}
	status := http.StatusPermanentRedirect
	if !session.Unsafe(r.Method) {
		status = http.StatusMovedPermanently
	}
	w.Header().Set("Location", "https://"+e.redirectAuthority(r)+r.URL.RequestURI())
	w.WriteHeader(status)
}

// redirectAuthority is where https is spoken: the public address, else the
// request's host, which has been checked, without a port that speaks http.
func (e *edge) redirectAuthority(r *http.Request) string {
	if _, authority, ok := strings.Cut(e.config.AppURL, "://"); ok {
		return authority
	}
	host, _, _ := config.SplitHost(r.Host)
	return host
}

// recovered turns a panic into a 500 and a log entry with its stack.
func (e *edge) recovered(w *answerWriter, r *http.Request, panicked any) {
	if panicked == nil {
		return
	}
	if panicked == http.ErrAbortHandler { //nolint:errorlint // the very value that net/http looks for
		panic(panicked)
	}
	// The value of a panic may hold an input; its type and the stack are enough
	// to find the defect.
	e.log.Error("panic", "request_id", session.ConnectionOf(r.Context()).ID,
		"type", fmt.Sprintf("%T", panicked), "stack", string(debug.Stack()))
	if w.status == 0 {
		refuse(w, r, e.log, fault.New(fault.Internal, ""))
	}
}

// logRequest writes the access log. The query is left out: it may hold what
// does not belong there.
func (e *edge) logRequest(r *http.Request, c session.Connection, w *answerWriter, took time.Duration) {
	level := slog.LevelInfo
	if isProbe(r.URL.Path) || !session.Unsafe(r.Method) && w.status < 400 {
		level = slog.LevelDebug
	}
	if !e.log.Enabled(r.Context(), level) {
		return
	}
	e.log.LogAttrs(r.Context(), level, "request",
		slog.String("request_id", c.ID), slog.String("method", r.Method), slog.String("path", loggedPath(r.URL.Path)),
		slog.Int("status", w.status), slog.Int64("bytes", w.bytes), slog.Duration("took", took), slog.String("ip", c.IP.String()))
}

// answerWriter remembers what was answered.
type answerWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
