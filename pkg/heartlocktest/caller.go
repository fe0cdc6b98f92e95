//go:build unix

package heartlocktest

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
)

// Caller sends requests to a server in one person's or machine's name. It keeps
// cookies as a browser on this server would, also those that are for https only,
// and sends the CSRF token with every unsafe request.
type Caller struct {
	Name    string // for test messages
	UserID  string // of a person
	Bearer  string // a token; empty: cookies, if there are any
	Cookies map[string]string

	server *Server
}

// Anonymous is a caller without credentials.
func (s *Server) Anonymous() *Caller {
	return &Caller{Name: "anonymous", Cookies: map[string]string{}, server: s}
}

// WithToken is a caller with a token in its header.
func (s *Server) WithToken(name, token string) *Caller {
	c := s.Anonymous()
	c.Name, c.Bearer = name, token
	return c
}

// Login signs a person in with the common password.
func (s *Server) Login(email string) *Caller {
	s.tb.Helper()
	c := s.Anonymous()
	c.Name = email
	var account api.Account
	c.Call("POST", "/auth/login/", map[string]any{"email": email, "password": Password}).Want(http.StatusOK).Decode(&account)
	c.UserID = account.ID
	return c
}

// On is the same caller, with the same credentials, at another server.
func (c *Caller) On(s *Server) *Caller {
	other := *c
	other.server, other.Cookies = s, maps.Clone(c.Cookies)
	return &other
}

// Answer is what a server answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string

	tb   testing.TB
	what string
}

// Call sends a request to the path below /api/v1, with further headers written
// as "Name: value". A body that is a string is sent as it is, nil is none, and
// everything else is encoded as JSON.
func (c *Caller) Call(method, path string, body any, headers ...string) Answer {
	c.server.tb.Helper()
	return c.Do(method, api.Prefix+path, body, headers...)
}

// Do is Call with a whole path.
func (c *Caller) Do(method, path string, body any, headers ...string) Answer {
	tb := c.server.tb
	tb.Helper()
	r := c.request(method, path, body)
	for _, h := range slices.Concat(c.server.options.Headers, headers) {
		name, value, _ := strings.Cut(h, ": ")
		switch name {
		case "Host":
			r.Host = value
		default:
			r.Header.Set(name, value)
		}
	}
	response, err := c.server.client.Do(r)
	if err != nil {
		tb.Fatalf("%s %s as %s: %v", method, path, c.Name, err)
	}
	return c.read(response, method+" "+path+" as "+c.Name)
}

func (c *Caller) request(method, path string, body any) *http.Request {
	tb := c.server.tb
	tb.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case io.Reader:
		reader = b
	default:
		var encoded bytes.Buffer
		if err := api.Encode(&encoded, body); err != nil {
			tb.Fatal(err)
		}
		reader = &encoded
	}
	r, err := http.NewRequestWithContext(tb.Context(), method, c.server.URL+path, reader)
	if err != nil {
		tb.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.Bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.Bearer)
		return r
	}
	for _, name := range slices.Sorted(maps.Keys(c.Cookies)) {
		r.AddCookie(&http.Cookie{Name: name, Value: c.Cookies[name]})
	}
	if token := c.Cookies["csrftoken"]; token != "" && method != "GET" && method != "HEAD" {
		r.Header.Set("X-CSRFToken", token)
	}
	return r
}

func (c *Caller) read(response *http.Response, what string) Answer {
	tb := c.server.tb
	tb.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatalf("%s: %v", what, err)
	}
	for _, cookie := range response.Cookies() {
		if cookie.MaxAge < 0 {
			delete(c.Cookies, cookie.Name)
		} else {
			c.Cookies[cookie.Name] = cookie.Value
		}
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(body), tb: tb, what: what}
}

// Raw sends bytes as they are over a connection of their own and reads one
// answer.
func (s *Server) Raw(text string) Answer {
	s.tb.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		s.tb.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	sent := make(chan struct{})
	go func() { // the server may answer before it has read everything
		defer close(sent)
		_, _ = io.WriteString(conn, text)
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	line, _, _ := strings.Cut(text, "\r\n")
	if err != nil {
		s.tb.Fatalf("%.200q: %v", line, err)
	}
	answer := s.Anonymous().read(response, line)
	_ = conn.Close()
	<-sent
	return answer
}

// Want fails the test unless the status is this one.
func (a Answer) Want(status int) Answer {
	a.tb.Helper()
	if a.Status != status {
		a.tb.Fatalf("%s: %d, want %d: %.300s", a.what, a.Status, status, a.Body)
	}
	return a
}

// Decode reads the body's JSON.
func (a Answer) Decode(dst any) Answer {
	a.tb.Helper()
	if err := api.DecodeResponse([]byte(a.Body), dst); err != nil {
		a.tb.Fatalf("%s: %v", a.what, err)
	}
	return a
}

// WantProblem fails the test unless the answer is an error document of this
// status with a detail for people, and returns it.
func (a Answer) WantProblem(status int) api.Problem {
	a.tb.Helper()
	a.Want(status)
	var p api.Problem
	if kind := a.Header.Get("Content-Type"); kind != api.ProblemType {
		a.tb.Fatalf("%s: Content-Type %q, want %q", a.what, kind, api.ProblemType)
	}
	a.Decode(&p)
	if p.Status != status || p.Detail == "" || p.Title == "" || p.RequestID == "" {
		a.tb.Fatalf("%s: not a whole problem document: %s", a.what, a.Body)
	}
	return p
}

var requestID = regexp.MustCompile(`"request_id":"[A-Z0-9]+"`)

// Canonical is status, headers and body without what differs in any two answers.
func (a Answer) Canonical() string {
	var b bytes.Buffer
	h := a.Header.Clone()
	h.Del("Date")
	h.Del("X-Request-Id")
	b.WriteString(http.StatusText(a.Status) + "\n")
	_ = h.Write(&b) // in order of the names; a buffer takes everything
	b.WriteString(requestID.ReplaceAllString(a.Body, `"request_id":""`))
	return b.String()
}
