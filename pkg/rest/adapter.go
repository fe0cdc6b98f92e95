package rest

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/vault"
)

// adapt makes the HTTP handler of a route.
func (a *API) adapt(route Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{Context: r.Context(), api: a, w: w, r: r, status: route.Status}
		out, err := a.handle(c, &route)
		if err != nil {
			a.recordRefusal(c, &route, err) //nolint:contextcheck // c is the request's context
			a.fail(w, r, err)
			return
		}
		a.answer(c, out)
	}
}

// recordRefusal has the audit trail say what a known caller was refused. If it
// can not, he is refused all the same.
func (a *API) recordRefusal(c *call, route *Route, err error) {
	if failed := a.vault.RecordRefusal(c, c.who, route.Action, err); failed != nil {
		a.log.WarnContext(c, "a refusal could not be recorded", "request_id", session.ConnectionOf(c).ID, "error", fault.Detail(failed))
	}
}

// handle takes a request from its bytes to the handler's answer. The order
// matters: what is cheap and protects the server comes first, and nothing of
// the body is judged before it is known who sent it.
func (a *API) handle(c *call, route *Route) (any, error) {
	if err := checkBody(c.w, c.r, route.hasBody()); err != nil {
		return nil, err
	}
	who, err := a.callerOf(c.r, route.Action)
	if err != nil {
		return nil, err
	}
	c.who = who
	if err := vault.Admit(who, route.Action); err != nil {
		return nil, err
	}
	var body []byte
	if route.hasBody() {
		if body, err = readBody(c.r); err != nil {
			return nil, err
		}
	}
	in, err := route.bind(c.r, body)
	if err != nil {
		return nil, err
	}
	return route.serve(c, in)
}

// checkBody bounds what a request may send, before any other work is done.
func checkBody(w http.ResponseWriter, r *http.Request, wanted bool) error {
	if r.ContentLength > maxBody {
		return fault.New(fault.TooLarge, "The request body is larger than "+strconv.Itoa(maxBody>>10)+" KiB.")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return fault.New(fault.UnsupportedMediaType, "Send the body without compression.")
	}
	if !wanted && r.ContentLength == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		if wanted || r.ContentLength > 0 {
			return fault.New(fault.UnsupportedMediaType, "Send the body as Content-Type: application/json.")
		}
	}
	return nil
}

func readBody(r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := io.Copy(&b, r.Body); err != nil {
		if classified := classify(err); fault.KindOf(classified) == fault.TooLarge {
			return nil, classified
		}
		return nil, fault.Wrap(fault.Invalid, err, "The request body could not be read to its end.")
	}
	return b.Bytes(), nil
}

// callerOf finds who calls. Whether the server is alive and well is told to
// everyone, and must not hang on credentials: they need the database.
func (a *API) callerOf(r *http.Request, action vault.Action) (vault.Principal, error) {
	if action == vault.ActionMeta {
		return vault.Anonymous(requestOf(r)), nil
	}
	return a.identify(r)
}

// identify finds who calls: by the Authorization header if there is one, else by
// the session cookie, else nobody. A bad Authorization header never falls back
// to the cookie. Requests with a cookie, and those of nobody, are checked
// against CSRF; a token in a header is not sent by a browser on its own.
func (a *API) identify(r *http.Request) (vault.Principal, error) {
	request := requestOf(r)
	if _, sent := r.Header["Authorization"]; sent {
		token, ok := BearerToken(r.Header)
		if !ok {
			return vault.Principal{}, fault.New(fault.Unauthenticated, "Send exactly one header \"Authorization: Bearer hlp_…\".")
		}
		return a.vault.IdentifyToken(r.Context(), token, request)
	}
	if err := a.cookies.CheckOrigin(r); err != nil {
		return vault.Principal{}, err
	}
	token := a.cookies.Token(r)
	if token == "" {
		return vault.Anonymous(request), nil
	}
	who, err := a.vault.IdentifySession(r.Context(), token, request)
	if fault.KindOf(err) == fault.Unauthenticated && err != nil {
		return vault.Anonymous(request), nil //nolint:nilerr // an ended session is as good as none
	}
	if err != nil {
		return vault.Principal{}, err
	}
	return who, a.cookies.CheckToken(r, who.SessionID())
}

// BearerToken takes the token out of the Authorization header (RFC 6750), which
// must be there once. The scheme's case does not matter; everything else does.
func BearerToken(h http.Header) (token string, ok bool) {
	lines := h["Authorization"]
	if len(lines) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(lines[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t,") {
		return "", false
	}
	return token, true
}

// requestOf is what the audit trail is told of a request.
func requestOf(r *http.Request) vault.Request {
	connection := session.ConnectionOf(r.Context())
	return vault.Request{
		ID: connection.ID, IP: connection.IP, UserAgent: r.UserAgent(),
		IdempotencyKey: r.Header.Get("Idempotency-Key"), Origin: connection.Origin,
	}
}

// buffers holds the buffers that answers are encoded into. They have held secret
// values, so they are cleared before they are given back.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const largestPooled = 1 << 20

func release(b *bytes.Buffer) {
	if b.Cap() > largestPooled {
		return
	}
	clear(b.Bytes())
	b.Reset()
	buffers.Put(b)
}

// answer encodes what the handler returned.
func (a *API) answer(c *call, out any) {
	h := c.w.Header()
	if c.fresh {
		c.w.WriteHeader(http.StatusNotModified)
		return
	}
	if c.status == noContent {
		c.w.WriteHeader(c.status)
		return
	}
	switch out := out.(type) {
	case empty:
		c.w.WriteHeader(c.status)
		return
	case download:
		out.send(c.w, c.status)
		return
	}
	body := buffers.Get().(*bytes.Buffer)
	defer release(body)
	if err := api.Encode(body, out); err != nil {
		a.fail(c.w, c.r, err)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	c.w.WriteHeader(c.status)
	_, _ = c.w.Write(body.Bytes())
}
