package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

func answerProblem(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", api.ProblemType)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestStatusesKeepTheirKind(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]fault.Kind{
		400: fault.Invalid, 401: fault.Unauthenticated, 403: fault.Forbidden, 404: fault.NotFound, 405: fault.MethodNotAllowed,
		409: fault.Conflict, 410: fault.Gone, 412: fault.PreconditionFailed, 413: fault.TooLarge, 415: fault.UnsupportedMediaType,
		422: fault.Invalid, 429: fault.TooManyRequests, 431: fault.Invalid, 500: fault.Internal, 502: fault.Unavailable,
		503: fault.Unavailable, 504: fault.Unavailable, 507: fault.Internal,
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			answerProblem(w, status, `{"type":"about:blank","title":"t","status":1,"detail":"A sentence.","request_id":"req-1",
				"errors":[{"location":"body.name","message":"must not be empty"}],"new_field":1}`)
		})
		_, err := c.Me(context.Background())
		if !errors.Is(err, kind) || fault.KindOf(err) != kind {
			t.Errorf("%d: kind %v, want %v", status, fault.KindOf(err), kind)
			continue
		}
		e := fault.As(err)
		var cause *ResponseError
		if !errors.As(err, &cause) || cause.RequestID != "req-1" || cause.Status != status || !cause.Explained {
			t.Errorf("%d: cause %+v", status, cause)
		}
		if e.Message != "A sentence." || e.RetryAfter != 7*time.Second {
			t.Errorf("%d: %q, retry after %v", status, e.Message, e.RetryAfter)
		}
		if diff := cmp.Diff([]fault.Field{{Location: "body.name", Message: "must not be empty"}}, e.Fields); diff != "" {
			t.Error(diff)
		}
	}
}

// A proxy's error page is no answer of the API: above all its 404 must not read
// as "this secret does not exist".
func TestAnswersThatAreNotHeartlocks(t *testing.T) {
	t.Parallel()
	const page = "<html>hunter2</html>"
	for _, c := range []struct {
		status    int
		mediaType string
		body      string
		kind      fault.Kind
	}{
		{404, "text/html", page, fault.Unavailable},
		{405, "text/html", page, fault.Unavailable},
		{404, "application/json", `{}`, fault.Unavailable},
		{404, "application/problem+json", `{"detail":""}`, fault.Unavailable},
		{404, "application/problem+json", `{"detail":`, fault.Unavailable},
		{401, "text/html", page, fault.Unauthenticated},
		{403, "", "", fault.Forbidden},
		{502, "text/html", page, fault.Unavailable},
		{500, "text/html", page, fault.Internal},
		{299, "application/json", `{}`, fault.Unavailable},
		{200, "text/html", page, fault.Unavailable},
		{200, "application/json", "hunter2", fault.Unavailable},
		{200, "application/json", "", fault.Unavailable},
		{200, "application/json", `{"id":"a"`, fault.Unavailable},
		{200, "application/json", `["hunter2"]`, fault.Unavailable},
		{200, "application/json", `{"id":1}`, fault.Unavailable},
		{204, "", "", fault.Unavailable},
		{304, "application/json", "", fault.Usage},
	} {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.mediaType)
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := client.Me(context.Background())
		if err == nil || fault.KindOf(err) != c.kind {
			t.Errorf("%d %s %q: %v (%v), want %v", c.status, c.mediaType, c.body, err, fault.KindOf(err), c.kind)
			continue
		}
		if text := fault.Detail(err); strings.Contains(text, "hunter2") || strings.Contains(text, testToken) {
			t.Errorf("%d: the error repeats the body or the token", c.status)
		}
		var cause *ResponseError
		if errors.As(err, &cause) && cause.Explained {
			t.Errorf("%d %q: counts as explained by the API", c.status, c.body)
		}
	}
}

func TestReadyGivesTheReason(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, 503, `{"status":"unavailable","reason":"The database does not answer.","version":"1"}`)
	})
	ready, err := c.Ready(context.Background())
	if !errors.Is(err, fault.Unavailable) || err.Error() != "The database does not answer." || ready.Version != "1" {
		t.Errorf("%+v, %v", ready, err)
	}
}

// Go would carry the Authorization header to another port of the same host, to
// plain http and to subdomains.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		answerJSON(w, 200, `{}`)
	}))
	t.Cleanup(second.Close)
	port := second.Listener.Addr().(*net.TCPAddr).Port
	targets := map[string]string{
		second.URL + "/api/v1/auth/me/?token=hunter2":              second.URL,
		fmt.Sprintf("http://sub.localhost:%d/", port):              "sub.localhost",
		fmt.Sprintf("//user:hunter2@127.0.0.1:%d/elsewhere", port): "/elsewhere",
		"/api/v1/auth/me":         "/api/v1/auth/me",
		"https://idp.example.com": "idp.example.com",
		"":                        "another address",
		"http://[bad":             "another address",
	}
	for location, want := range targets {
		for _, status := range []int{301, 302, 303, 307, 308} {
			first := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(status)
			}))
			first.StartTLS()
			c := newClient(t, Options{Server: first.URL, Transport: first.Client().Transport})
			_, err := c.Me(context.Background())
			first.Close()
			if !errors.Is(err, fault.Usage) {
				t.Errorf("%d to %q: %v", status, location, err)
				continue
			}
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%d to %q: %q does not name the target alone", status, location, err)
			}
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the second server was asked %d times", n)
	}
}

func TestLongAnswersAreCutOff(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"announced": func(w http.ResponseWriter, r *http.Request) {
			answerJSON(w, 200, `{"id":"`+strings.Repeat("x", 4096)+`"}`)
		},
		"chunked": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for range 100 {
				_, _ = io.WriteString(w, strings.Repeat(" ", 1024))
				w.(http.Flusher).Flush()
			}
		},
		"error page": func(w http.ResponseWriter, r *http.Request) {
			answerProblem(w, 500, `{"detail":"`+strings.Repeat("x", 4096)+`"}`)
		},
	} {
		server := httptest.NewServer(handler)
		c := newClient(t, Options{Server: server.URL, MaxResponseBytes: 1024})
		_, err := c.Me(context.Background())
		if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "larger than 1024 bytes") {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
	if c := newClient(t, Options{Server: "http://localhost"}); c.maxBytes != 16<<20 || c.timeout != 30*time.Second {
		t.Errorf("defaults: %d bytes, %v", c.maxBytes, c.timeout)
	}
}

func TestABrokenAnswer(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"id":"a"}`)
	})
	if _, err := c.Me(context.Background()); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "broke off") {
		t.Errorf("%v", err)
	}
}

func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	asked := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })

	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	_, err := newClient(t, Options{Server: server.URL}).Me(ctx)
	if !errors.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "given up") {
		t.Errorf("cancelled: %v", err)
	}

	_, err = newClient(t, Options{Server: server.URL, Timeout: 10 * time.Millisecond}).Me(context.Background())
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), server.URL+" did not answer within 10ms") {
		t.Errorf("own timeout: %v", err)
	}

	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err = newClient(t, Options{Server: server.URL}).Me(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("caller's deadline: %v", err)
	}
}

func TestNetworkFailuresNameTheServer(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	_, tlsPort, _ := net.SplitHostPort(secure.Listener.Addr().String())

	trusting := secure.Client().Transport
	for _, c := range []struct {
		server string
		http   http.RoundTripper
		want   string
	}{
		{"http://" + closed.Addr().String(), nil, "refused"},
		{"https://name.invalid", nil, "can not be reached"},
		{secure.URL, nil, "does not trust"},
		{"https://localhost:" + tlsPort, trusting, "another name"},
		{strings.Replace(plain.URL, "http:", "https:", 1), nil, "speaks http, not https"},
	} {
		client := newClient(t, Options{Server: c.server, Transport: c.http})
		_, err := client.Me(context.Background())
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", c.server, err)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.server) {
			t.Errorf("%s: %q does not say %q and the server", c.server, err, c.want)
		}
		if strings.Contains(fault.Detail(err), testToken) {
			t.Errorf("%s: the error holds the token", c.server)
		}
	}
}

func TestOneRequestPerCall(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	t.Cleanup(server.Close)
	c := newClient(t, Options{Server: server.URL})
	v := api.NewValue("v")
	_, _, err := c.PutSecret(context.Background(), Environment{"shop", "production"}, "K", api.PutSecret{Value: &v})
	if !errors.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if n := hits.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-1": 0, "x": 0, "1.5": 0, "2000000000": 24 * time.Hour, "99999999999999999999": 0,
		"Fri, 01 Jan 2027 00:00:30 GMT": 30 * time.Second,
		"Thu, 31 Dec 2026 00:00:30 GMT": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestRequestIDIsPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"abc-1": "abc-1", "a\x1b[2J": "", "a b": "", strings.Repeat("x", 101): "", "é": ""} {
		if got := requestID(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
