package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/session"
)

func cookies(t *testing.T, trusted ...string) *session.Cookies {
	t.Helper()
	origins, err := config.NewOrigins(trusted, true)
	if err != nil {
		t.Fatal(err)
	}
	return &session.Cookies{SessionSecure: true, CSRFSecure: true, CSRFKeys: [][]byte{[]byte("new key"), []byte("former key")}, Trusted: origins}
}

// request is an unsafe request to https://hl.example.com as a browser would
// send it; the headers are "Name: value".
func request(method, host string, secure bool, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "/api/v1/projects/", nil)
	r.Host = host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return session.WithConnection(r, session.Connection{Secure: secure})
}

// TestOriginTable is about what may ask for a change: our own pages and those of
// trusted origins, and programs that are no browsers.
func TestOriginTable(t *testing.T) {
	const own = "hl.example.com"
	c := cookies(t, "https://*.example.org", "https://exact.example.net", "https://port.example.net:8443")
	for _, test := range []struct {
		host    string
		headers []string
		ok      bool
	}{
		{own, nil, true}, // no browser
		{own, []string{"Origin: https://hl.example.com"}, true},
		{own + ":443", []string{"Origin: https://hl.example.com"}, true},
		{"HL.example.com", []string{"Origin: https://hl.example.com"}, true},
		{own + ":8443", []string{"Origin: https://hl.example.com:8443"}, true},
		{own, []string{"Origin: http://hl.example.com"}, false},
		{own, []string{"Origin: https://hl.example.com:8443"}, false},
		{own + ":8443", []string{"Origin: https://hl.example.com"}, false},
		{own, []string{"Origin: HTTPS://hl.example.com"}, false},
		{own, []string{"Origin: https://HL.example.com"}, false},
		{own, []string{"Origin: https://hl.example.com/"}, false},
		{own, []string{"Origin: https://hl.example.com/x"}, false},
		{own, []string{"Origin: null"}, false},
		{own, []string{"Origin: "}, false},
		{own, []string{"Origin: *"}, false},
		{own, []string{"Origin: hl.example.com"}, false},
		{own, []string{"Origin: file://"}, false},
		{own, []string{"Origin: https://hl.example.com.evil.com"}, false},
		{own, []string{"Origin: https://evil.com/hl.example.com"}, false},
		{own, []string{"Origin: https://evil.com?hl.example.com"}, false},
		{own, []string{"Origin: https://hl.example.com@evil.com"}, false},
		{own, []string{"Origin: https://evil.com"}, false},
		{own, []string{"Origin: https://hl.example.com https://evil.com"}, false},
		{own, []string{"Origin: https://hl.example.com, https://evil.com"}, false},
		{own, []string{"Origin: https://hl.example.com", "Origin: https://evil.com"}, false},
		{own, []string{"Origin: https://sub.hl.example.com"}, false},
		{own, []string{"Origin: https://example.com"}, false},

		{own, []string{"Origin: https://a.example.org"}, true},
		{own, []string{"Origin: https://a.b.example.org"}, true},
		{own, []string{"Origin: https://a.example.org:443"}, true},
		{own, []string{"Origin: https://example.org"}, false},
		{own, []string{"Origin: http://a.example.org"}, false},
		{own, []string{"Origin: https://a.example.org:444"}, false},
		{own, []string{"Origin: https://badexample.org"}, false},
		{own, []string{"Origin: https://a.example.org.evil.com"}, false},
		{own, []string{"Origin: https://exact.example.net"}, true},
		{own, []string{"Origin: https://a.exact.example.net"}, false},
		{own, []string{"Origin: https://port.example.net:8443"}, true},
		{own, []string{"Origin: https://port.example.net"}, false},

		{own, []string{"Sec-Fetch-Site: same-origin"}, true},
		{own, []string{"Sec-Fetch-Site: none"}, true},
		{own, []string{"Sec-Fetch-Site: same-site"}, false},
		{own, []string{"Sec-Fetch-Site: cross-site"}, false},
		{own, []string{"Sec-Fetch-Site: cross-site", "Origin: https://a.example.org"}, true},
		{own, []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.com"}, false},
		{own, []string{"Sec-Fetch-Site: same-origin", "Origin: https://evil.com"}, false},
		{own, []string{"Sec-Fetch-Site: cross-site", "Referer: https://hl.example.com/"}, false},

		{own, []string{"Referer: https://hl.example.com/page?x=1"}, true},
		{own, []string{"Referer: https://hl.example.com"}, true},
		{own, []string{"Referer: https://a.example.org/page"}, true},
		{own, []string{"Referer: http://hl.example.com/page"}, false},
		{own, []string{"Referer: https://evil.com/https://hl.example.com/"}, false},
		{own, []string{"Referer: https://hl.example.com@evil.com/"}, false},
		{own, []string{"Referer: https://evil.com"}, false},
		{own, []string{"Referer: /page"}, false},
		{own, []string{"Referer: about:blank"}, false},
	} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "PROPPATCH"} {
			err := c.CheckOrigin(request(method, test.host, true, test.headers...))
			if (err == nil) != test.ok {
				t.Errorf("%s to %s with %q: %v, want ok: %v", method, test.host, test.headers, err, test.ok)
			}
			if err != nil && (!errors.Is(err, fault.Forbidden) || !strings.HasPrefix(err.Error(), "CSRF Failed: ") || strings.Contains(err.Error(), "evil")) {
				t.Errorf("%q: %v", test.headers, err)
			}
		}
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			if err := c.CheckOrigin(request(method, test.host, true, test.headers...)); err != nil {
				t.Errorf("%s with %q: %v", method, test.headers, err)
			}
		}
	}
}

// TestPlainRequestsHavePlainOrigins: behind a proxy that does not say so, the
// server takes a request for http.
func TestPlainRequestsHavePlainOrigins(t *testing.T) {
	c := cookies(t)
	for origin, ok := range map[string]bool{
		"http://localhost:8082": true, "https://localhost:8082": false, "http://localhost": false, "http://127.0.0.1:8082": false,
	} {
		if err := c.CheckOrigin(request("POST", "localhost:8082", false, "Origin: "+origin)); (err == nil) != ok {
			t.Errorf("%s: %v", origin, err)
		}
	}
	if err := c.CheckOrigin(request("POST", "[::1]:8082", false, "Origin: http://[::1]:8082")); err != nil {
		t.Error(err)
	}
}

// started is what a browser keeps of a new session.
func started(t *testing.T, c *session.Cookies, sessionID string) map[string]*http.Cookie {
	t.Helper()
	w := httptest.NewRecorder()
	c.Start(w, api.NewValue("the-token"), sessionID)
	kept := map[string]*http.Cookie{}
	for _, cookie := range w.Result().Cookies() {
		kept[cookie.Name] = cookie
	}
	return kept
}

func TestTokenTable(t *testing.T) {
	c := cookies(t)
	mine := started(t, c, "session-1")["csrftoken"].Value
	others := started(t, c, "session-2")["csrftoken"].Value
	former := *c
	former.CSRFKeys = c.CSRFKeys[1:]
	signedBefore := started(t, &former, "session-1")["csrftoken"].Value
	unknown := *c
	unknown.CSRFKeys = [][]byte{[]byte("another server's key")}
	forged := started(t, &unknown, "session-1")["csrftoken"].Value
	for _, test := range []struct{ cookie, header, want string }{
		{mine, mine, ""},
		{"anything", mine, ""}, // only the header counts: cookies can be planted
		{signedBefore, signedBefore, ""},
		{"", mine, "CSRF Failed: CSRF cookie not set."},
		{mine, "", "CSRF Failed: CSRF token missing."},
		{mine, mine[:31], "CSRF Failed: CSRF token incorrect."},
		{mine, mine + "0", "CSRF Failed: CSRF token incorrect."},
		{mine, strings.ToUpper(mine), "CSRF Failed: CSRF token incorrect."},
		{others, others, "CSRF Failed: CSRF token incorrect."},
		{forged, forged, "CSRF Failed: CSRF token incorrect."},
		{"x", "x", "CSRF Failed: CSRF token incorrect."},
	} {
		r := request("POST", "hl.example.com", true)
		if test.cookie != "" {
			r.AddCookie(&http.Cookie{Name: "csrftoken", Value: test.cookie})
		}
		if test.header != "" {
			r.Header.Set("X-CSRFToken", test.header)
		}
		got := ""
		if err := c.CheckToken(r, "session-1"); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("cookie %.8q header %.8q: %q, want %q", test.cookie, test.header, got, test.want)
		}
	}
	if err := c.CheckToken(request("GET", "hl.example.com", true), "session-1"); err != nil {
		t.Errorf("reading: %v", err)
	}
}

func TestCookieAttributes(t *testing.T) {
	for _, secure := range []bool{true, false} {
		c := cookies(t)
		c.SessionSecure, c.CSRFSecure = secure, secure
		suffix := ""
		if secure {
			suffix = "; Secure"
		}
		w := httptest.NewRecorder()
		c.Start(w, api.NewValue("the-token"), "session-1")
		set := w.Result().Header["Set-Cookie"]
		want := []string{
			"sessionid=the-token; Path=/; Max-Age=1209600; HttpOnly" + suffix + "; SameSite=Lax",
			"csrftoken=" + started(t, c, "session-1")["csrftoken"].Value + "; Path=/; Max-Age=31449600" + suffix + "; SameSite=Lax",
		}
		if strings.Join(set, "\n") != strings.Join(want, "\n") {
			t.Errorf("set:\n%s\nwant:\n%s", strings.Join(set, "\n"), strings.Join(want, "\n"))
		}
		w = httptest.NewRecorder()
		c.End(w)
		want = []string{
			"sessionid=; Path=/; Max-Age=0; HttpOnly" + suffix + "; SameSite=Lax",
			"csrftoken=; Path=/; Max-Age=0" + suffix + "; SameSite=Lax",
		}
		if ended := w.Result().Header["Set-Cookie"]; strings.Join(ended, "\n") != strings.Join(want, "\n") {
			t.Errorf("ended:\n%s", strings.Join(ended, "\n"))
		}
	}
}
