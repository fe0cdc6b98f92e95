package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
)

const secretPath = "/projects/shop/environments/development/secrets/KEY/"

// shop fills a server with a project, a secret and a token that may read it.
func shop(t *testing.T, owner *heartlocktest.Caller) (token api.ServiceToken) {
	t.Helper()
	owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
	owner.Call("PUT", secretPath, map[string]any{"value": "one"}).Want(201)
	owner.Call("POST", "/projects/shop/tokens/", map[string]any{"name": "ci", "environments": []string{"development"}, "access": "read"}).Want(201).Decode(&token)
	return token
}

// always are the headers of every answer, whatever it is.
var always = map[string]string{
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Content-Security-Policy":      "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
	"Cache-Control":                "no-store",
	"Vary":                         "Cookie, Origin, Authorization",
}

func wantHeaders(t *testing.T, what string, a heartlocktest.Answer) {
	t.Helper()
	for name, want := range always {
		got := a.Header.Values(name)
		if len(got) == 1 && (got[0] == want || isPage(a) && stricter(name, got[0])) {
			continue
		}
		t.Errorf("%s (%d): %s is %q, want %q", what, a.Status, name, got, want)
	}
	if len(a.Header.Get("X-Request-Id")) < 20 {
		t.Errorf("%s (%d): no request id", what, a.Status)
	}
	for _, name := range []string{"Server", "X-Powered-By", "Location", "Access-Control-Allow-Origin"} {
		if a.Header.Get(name) != "" && (name != "Location" || a.Status != 303) {
			t.Errorf("%s (%d): %s is sent", what, a.Status, name)
		}
	}
}

// isPage tells pages, and ways to one, from answers to programs.
func isPage(a heartlocktest.Answer) bool {
	return a.Status == 303 || strings.HasPrefix(a.Header.Get("Content-Type"), "text/html")
}

// stricter reports whether a page may have this header instead: it knows what it loads,
// and whether its address is a secret.
func stricter(name, value string) bool {
	switch name {
	case "Content-Security-Policy":
		return strings.HasPrefix(value, "default-src 'none'; ") && strings.Contains(value, "frame-ancestors 'none'") && !strings.Contains(value, "unsafe")
	case "Referrer-Policy":
		return value == "no-referrer" || value == "strict-origin"
	}
	return false
}

// TestHeadersOnEveryAnswer asks every route, in every way it can end.
func TestHeadersOnEveryAnswer(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	shop(t, owner)
	fill := strings.NewReplacer("{project}", "shop", "{environment}", "development", "{key}", "KEY", "{id}", "nothing")
	for _, r := range rest.Routes() {
		for _, c := range []*heartlocktest.Caller{owner, s.Anonymous(), s.WithToken("bad", "hlp_bad")} {
			if r.Method == "DELETE" && c == owner {
				continue
			}
			wantHeaders(t, r.Method+" "+r.Path, c.Call(r.Method, fill.Replace(r.Path), nil))
			wantHeaders(t, r.Method+" "+r.Path, c.Call(r.Method, fill.Replace(r.Path), "{"))
		}
	}
	owner = s.Login(heartlocktest.OwnerEmail) // one of the routes has ended the session
	for what, answer := range map[string]heartlocktest.Answer{
		"200":         owner.Call("GET", secretPath, nil).Want(200),
		"200 HEAD":    owner.Call("HEAD", secretPath, nil).Want(200),
		"200 page":    s.Anonymous().Do("GET", "/login/", nil).Want(200),
		"303 page":    s.Anonymous().Do("GET", "/", nil).Want(303),
		"200 openapi": s.Anonymous().Call("GET", "/openapi.json", nil).Want(200),
		"304":         owner.Call("GET", secretPath, nil, `If-None-Match: *`).Want(304),
		"400":         owner.Call("GET", secretPath+"?x=1", nil).Want(400),
		"400 host":    owner.Call("GET", secretPath, nil, "Host: evil.org").Want(400),
		"401":         s.Anonymous().Call("GET", secretPath, nil).Want(401),
		"403":         owner.Call("PUT", secretPath, "{}", "Origin: null").Want(403),
		"404":         owner.Call("GET", "/nothing/", nil).Want(404),
		"404 outside": owner.Do("GET", "/nothing", nil).Want(404),
		"404 path":    owner.Do("GET", "//x", nil).Want(404),
		"405":         owner.Call("TRACE", secretPath, nil).Want(405),
		"409":         owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(409),
		"412":         owner.Call("PUT", secretPath, map[string]any{"value": "x"}, "If-None-Match: *").Want(412),
		"413":         owner.Call("PUT", secretPath, strings.Repeat("x", 2<<20)).Want(413),
		"415":         owner.Call("PUT", secretPath, "{}", "Content-Type: text/plain").Want(415),
	} {
		wantHeaders(t, what, answer)
	}
	s.Exec("UPDATE secrets SET sealed = 'damaged'")
	wantHeaders(t, "500", owner.Call("GET", secretPath, nil).Want(500))
}

// TestDefectsLookAlikeInBothModes: development is no reason to show the inside.
func TestDefectsLookAlikeInBothModes(t *testing.T) {
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		answers := map[string]string{}
		for mode, environ := range map[string][]string{"development": nil, "production": openProduction()} {
			url := databaseURL
			if url != "" {
				url = heartlocktest.Postgres(t)
			}
			s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{DatabaseURL: url, Environ: environ})
			owner := s.Onboard()
			shop(t, owner)
			owner.Call("PUT", secretPath, map[string]any{"value": "two"}).Want(200)
			s.Exec("ALTER TABLE secret_versions RENAME TO gone_7319")
			answer := owner.Call("PUT", secretPath, map[string]any{"value": "three"})
			p := answer.WantProblem(500)
			for _, inside := range []string{"gone_7319", "secret_versions", "SQL", "sqlite", "postgres", ".go", "goroutine", s.Dir} {
				if strings.Contains(strings.ToLower(answer.Body), strings.ToLower(inside)) {
					t.Errorf("%s shows %s: %s", mode, inside, answer.Body)
				}
			}
			if !s.Logs.Contains(p.RequestID) || !s.Logs.Contains("secret_versions") {
				t.Errorf("%s: the log does not say what it was", mode)
			}
			answers[mode] = strings.ReplaceAll(answer.Body, p.RequestID, "")
			s.Stop()
		}
		if answers["development"] != answers["production"] {
			t.Errorf("they differ:\n%s\n%s", answers["development"], answers["production"])
		}
	})
}

// TestReadingIsNotAnsweredUnrecorded: a value whose reading can not be put on
// record stays where it is, and so does a change.
func TestReadingIsNotAnsweredUnrecorded(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		shop(t, owner)
		owner.Call("PUT", secretPath, map[string]any{"value": "CANARY-value"}).Want(200)
		before := s.State()
		s.Exec("ALTER TABLE audit_events RENAME TO gone")
		for _, path := range []string{secretPath, "/projects/shop/environments/development/secrets/?values=true"} {
			answer := owner.Call("GET", path, nil)
			answer.WantProblem(answer.Status)
			if answer.Status < 500 || strings.Contains(answer.Body, "CANARY") {
				t.Errorf("%s: %d %s", path, answer.Status, answer.Body)
			}
		}
		for _, change := range []struct {
			method, path string
			body         any
		}{
			{"PUT", secretPath, map[string]any{"value": "changed"}},
			{"DELETE", secretPath, nil},
			{"POST", "/projects/", map[string]any{"name": "Other"}},
			{"POST", "/auth/tokens/", map[string]any{"name": "x"}},
			{"DELETE", "/projects/shop/", nil},
		} {
			if answer := owner.Call(change.method, change.path, change.body); answer.Status < 500 {
				t.Errorf("%s %s: %d", change.method, change.path, answer.Status)
			}
		}
		s.Exec("ALTER TABLE gone RENAME TO audit_events")
		if after := s.State(); after != before {
			t.Error("a change without a record was kept")
		}
	})
}

// TestPlainHTTPInProduction is the table of what happens to a request that came
// without TLS, by whom it was forwarded and what he says about it.
func TestPlainHTTPInProduction(t *testing.T) {
	const proto = "X-Forwarded-Proto"
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: heartlocktest.Production(), Headers: []string{proto + ": https"}})
	token := shop(t, s.Onboard())
	untrusting := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: append(heartlocktest.Production(), "HEARTLOCK_TRUSTED_PROXIES=10.0.0.0/8")})
	const hsts = "max-age=2592000; includeSubDomains; preload"

	for value, secure := range map[string]bool{
		"https": true, "HTTPS": true, " https": true, "https,http": true, "https, http": true,
		"http": false, "on": false, "": false, "http,https": false, "httpsx": false, "wss": false,
	} {
		answer := s.Anonymous().Call("GET", "/onboarding/", nil, proto+": "+value)
		if secure {
			answer.Want(200)
		} else if p := answer.WantProblem(403); p.Detail != "HTTPS is required." || answer.Header.Get("Location") != "" {
			t.Errorf("%q: %+v %v", value, p, answer.Header)
		}
		if got := answer.Header.Get("Strict-Transport-Security"); secure && got != hsts || !secure && got != "" {
			t.Errorf("%q: HSTS is %q", value, got)
		}
		// From a peer who is no proxy of ours the header means nothing.
		untrusting.Anonymous().Call("GET", "/onboarding/", nil, proto+": "+value).WantProblem(403)
		for _, probe := range []string{"/health/", "/ready/"} {
			s.Anonymous().Call("GET", probe, nil, proto+": "+value, "Host: 10.1.2.3").Want(200)
		}
	}
	for _, forged := range []string{"Forwarded: proto=https", "X-Forwarded-Ssl: on", "X-Url-Scheme: https", "Front-End-Https: on", "X-Forwarded-Protocol: https", "X_forwarded_proto: https"} {
		s.Anonymous().Call("GET", "/onboarding/", nil, proto+": http", forged).WantProblem(403)
	}

	for _, c := range []struct {
		method, path string
		status       int
		location     string
	}{
		{"GET", "/", 301, "https://127.0.0.1/"},
		{"HEAD", "/x/y?a=b&c=%20d", 301, "https://127.0.0.1/x/y?a=b&c=%20d"},
		{"POST", "/form/", 308, "https://127.0.0.1/form/"},
		{"PUT", "/form/", 308, "https://127.0.0.1/form/"},
		{"DELETE", "/form/", 308, "https://127.0.0.1/form/"},
	} {
		answer := s.Anonymous().Do(c.method, c.path, nil, proto+": http").Want(c.status)
		if got := answer.Header.Get("Location"); got != c.location {
			t.Errorf("%s %s: Location %q, want %q", c.method, c.path, got, c.location)
		}
	}
	s.Anonymous().Do("GET", "/", nil, proto+": http", "Host: evil.org").Want(400)
	s.Anonymous().Do("GET", "//evil.org/x", nil, proto+": http").Want(404)
	named := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: append(heartlocktest.Production(), "HEARTLOCK_APP_URL=https://secrets.example.com:8443")})
	if got := named.Anonymous().Do("GET", "/x", nil).Want(301).Header.Get("Location"); got != "https://secrets.example.com:8443/x" {
		t.Errorf("Location %q", got)
	}

	// A token that went over the wire in the clear is on record as exposed.
	owner := s.Login(heartlocktest.OwnerEmail)
	exposed := func() (found api.ServiceToken) {
		var page api.Page[api.ServiceToken]
		owner.Call("GET", "/projects/shop/tokens/", nil).Want(200).Decode(&page)
		return page.Results[0]
	}
	if exposed().ExposedAt != nil {
		t.Fatal("exposed from the start")
	}
	for _, scheme := range []string{"Basic ", "Bearer x"} {
		s.Anonymous().Call("GET", secretPath, nil, proto+": http", "Authorization: "+scheme+token.Token.Reveal()).WantProblem(403)
	}
	if exposed().ExposedAt != nil {
		t.Error("something else than the token was taken for it")
	}
	answer := s.Anonymous().Call("POST", secretPath, map[string]any{"value": "x"}, proto+": http", "Authorization: bearer "+token.Token.Reveal())
	if p := answer.WantProblem(403); p.Detail != "HTTPS is required." || answer.Header.Get("Location") != "" {
		t.Errorf("%+v", p)
	}
	if exposed().ExposedAt == nil {
		t.Error("the token is not marked")
	}
	s.WithToken("ci", token.Token.Reveal()).Call("GET", secretPath, nil, proto+": http").WantProblem(403)
	var trail api.Page[api.AuditEvent]
	owner.Call("GET", "/projects/shop/audit/?action=token.expose", nil).Want(200).Decode(&trail)
	if len(trail.Results) != 1 || trail.Results[0].Target != "ci" {
		t.Errorf("the trail: %+v", trail.Results)
	}

	off := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: append(openProduction(), "SECURE_HSTS_SECONDS=31536000", "SECURE_HSTS_PRELOAD=False")})
	if got := off.Anonymous().Call("GET", "/onboarding/", nil).Want(200).Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("HSTS over http: %q", got)
	}
	if got := off.Anonymous().Call("GET", "/onboarding/", nil, proto+": https").Want(200).Header.Get("Strict-Transport-Security"); got != "max-age=31536000; includeSubDomains" {
		t.Errorf("HSTS %q", got)
	}
}

// TestClientsAddress walks the addresses that proxies note; what is on record
// must be the last one that a trusted proxy has seen.
func TestClientsAddress(t *testing.T) {
	told := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"HEARTLOCK_TRUSTED_PROXIES=127.0.0.0/8,10.0.0.0/8,fd00::/8"}})
	untold := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	stranger := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"HEARTLOCK_TRUSTED_PROXIES=10.0.0.0/8"}})
	for _, s := range []*heartlocktest.Server{told, untold, stranger} {
		shop(t, s.Onboard())
	}
	seen := func(s *heartlocktest.Server, headers ...string) string {
		t.Helper()
		owner := s.Login(heartlocktest.OwnerEmail)
		owner.Call("GET", secretPath, nil, headers...).Want(200)
		var trail api.Page[api.AuditEvent]
		owner.Call("GET", "/projects/shop/audit/?action=secret.read&limit=1", nil).Want(200).Decode(&trail)
		return trail.Results[0].IP
	}
	for chain, want := range map[string]string{
		"203.0.113.7":                                "203.0.113.7",
		"198.51.100.1, 203.0.113.7":                  "203.0.113.7",
		"198.51.100.1, 203.0.113.7, 10.0.0.1":        "203.0.113.7",
		"127.0.0.1, 203.0.113.7, 10.0.0.1, 10.0.0.2": "203.0.113.7",
		"10.0.0.9, 10.0.0.1":                         "10.0.0.9",
		"203.0.113.7:4711":                           "203.0.113.7",
		"[2001:db8::7]:4711":                         "2001:db8::7",
		"[2001:db8::7]":                              "2001:db8::7",
		"2001:db8::7":                                "2001:db8::7",
		"::ffff:203.0.113.7":                         "203.0.113.7",
		"::ffff:203.0.113.7, ::ffff:10.0.0.1":        "203.0.113.7",
		"fe80::1%eth0":                               "fe80::1",
		"203.0.113.7, garbage":                       "127.0.0.1",
		"203.0.113.7, garbage, 10.0.0.1":             "10.0.0.1",
		"203.0.113.7,":                               "127.0.0.1",
		"unknown":                                    "127.0.0.1",
		"":                                           "127.0.0.1",
		"203.0.113.7' OR 1=1":                        "127.0.0.1",
	} {
		if got := seen(told, "X-Forwarded-For: "+chain); got != want {
			t.Errorf("%q: %s, want %s", chain, got, want)
		}
		for _, s := range []*heartlocktest.Server{untold, stranger} {
			if got := seen(s, "X-Forwarded-For: "+chain); got != "127.0.0.1" {
				t.Errorf("%q: a server that trusts nobody took %s", chain, got)
			}
		}
	}
	if got := seen(told, "X-Real-Ip: 203.0.113.7", "Forwarded: for=203.0.113.7", "True-Client-Ip: 203.0.113.7", "X_forwarded_for: 203.0.113.7"); got != "127.0.0.1" {
		t.Errorf("another header was believed: %s", got)
	}
	// Two lines are one list.
	owner := told.Login(heartlocktest.OwnerEmail)
	told.Raw(fmt.Sprintf("GET %s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 203.0.113.8\r\nCookie: sessionid=%s\r\n\r\n",
		api.Prefix, secretPath, owner.Cookies["sessionid"])).Want(200)
	var trail api.Page[api.AuditEvent]
	owner.Call("GET", "/projects/shop/audit/?action=secret.read&limit=1", nil).Want(200).Decode(&trail)
	if trail.Results[0].IP != "203.0.113.8" {
		t.Errorf("two lines: %s", trail.Results[0].IP)
	}
}

// TestLoginFlood: hashing is expensive on purpose, and must not be a way to
// keep others from being served.
func TestLoginFlood(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	owner := s.Onboard()
	token := shop(t, owner)
	machine := s.WithToken("ci", token.Token.Reveal())
	statuses := make(chan int)
	for i := range 100 {
		go func() {
			password := heartlocktest.Password
			if i%2 == 0 {
				password = "wrong-password"
			}
			answer := s.Anonymous().Call("POST", "/auth/login/", map[string]any{"email": heartlocktest.OwnerEmail, "password": password})
			if answer.Status == http.StatusTooManyRequests && answer.Header.Get("Retry-After") == "" {
				answer.Status = 0
			}
			statuses <- answer.Status
		}()
	}
	counts := map[int]int{}
	for range 100 {
		counts[<-statuses]++
		s.Anonymous().Call("GET", "/health/", nil).Want(200)
		machine.Call("GET", secretPath, nil).Want(200)
	}
	if counts[200]+counts[401]+counts[429] != 100 || counts[200] == 0 || counts[401] == 0 {
		t.Errorf("answers: %v", counts)
	}
	if answer := s.Anonymous().Call("POST", "/auth/login/", map[string]any{"email": heartlocktest.OwnerEmail, "password": strings.Repeat("x", 1_000_000)}); answer.Status != 401 {
		t.Errorf("a megabyte of a password: %d", answer.Status)
	}
}
