package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
)

// TestPathsHaveOneSpelling: a path that two programs could read differently is
// no path of ours, for those who may and for those who may not.
func TestPathsHaveOneSpelling(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1, p2 := w.p1.slug, w.p2.slug
		before := s.State()
		for _, path := range []string{
			"/projects/" + p1 + "/extra/", "/projects/" + p1 + "/environments/development/extra/", "/projects/" + p1 + "/environments/development/secrets/API_KEY/extra/",
			"/projects/" + p1 + "/extra/x/y", "/health/extra", "/auth/me/extra/",
			"/projects/" + p2 + "/../" + p1 + "/", "/projects/./" + p1 + "/", "/projects/" + p1 + "/.", "/projects/" + p1 + "/..", "/../v1/projects/",
			"/projects/" + p2 + "/%2e%2e/" + p1 + "/", "/projects/%2e/" + p1 + "/", "/projects/..%2f" + p1 + "/", "/projects/" + p2 + "%2f..%2f" + p1 + "/",
			"/projects/" + p1 + "%2fenvironments/", "/projects%2f" + p1 + "/", "/projects/" + p1 + "%2F",
			"/projects//" + p1 + "/", "//projects/" + p1 + "/", "/projects/" + p1 + "//", "/projects/" + p1 + "/environments//",
			"/projects/" + p1 + "%00/", "/projects/%00/", "/projects/" + p1 + "/environments/development/secrets/API_KEY%00/",
			"/projects/" + p1 + "%5c/", "/projects/%5c..%5c" + p1 + "/", "/projects/" + p1 + "%20/", "/projects/" + p1 + ";x/", "/projects/" + p1 + "%ff/",
			"/projects/" + p1 + "%0d%0aX-Evil:%201/", "/Projects/", "/projects/" + strings.ToUpper(p1) + "/", "/nothing/", "/",
			"/projects/" + p1 + "/environments/development/secrets/api_key/", "/projects/" + p1 + "/environments/development/secrets/1BAD/",
			"/projects/" + p1 + "/environments/development/secrets/" + strings.Repeat("A", 256) + "/",
		} {
			for _, c := range []*heartlocktest.Caller{owner, w.callers["outsider"], s.Anonymous(), w.callers["read-token"]} {
				answer := c.Call("GET", path, nil)
				if answer.Status == 401 && c.Name == "anonymous" {
					answer.WantProblem(401)
					continue
				}
				answer.WantProblem(404)
				if answer.Header.Get("X-Evil") != "" {
					t.Errorf("%s splits the header", path)
				}
			}
			owner.Call("DELETE", path, nil).Want(wantForDelete(owner.Call("DELETE", path, nil).Status))
		}
		for _, path := range []string{"/api", "/api/", "/api/v1", "/api/v2/health/", "/api/v1/../v1/health/"} {
			owner.Do("GET", path, nil).WantProblem(404)
		}
		for _, path := range []string{"//api/v1/health/", "/API/v1/health/"} { // no paths of the API: a page says so
			owner.Do("GET", path, nil).Want(404)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("odd paths changed the database:\n%s", diff)
		}
	})
}

// wantForDelete is the status itself if it refuses, and 404 if it does not.
func wantForDelete(status int) int {
	if status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		return status
	}
	return http.StatusNotFound
}

// TestSlashAtTheEndDoesNotMatter: every path answers the same way without it,
// and is not redirected.
func TestSlashAtTheEndDoesNotMatter(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	w := newWorld(t, s, s.Onboard())
	for _, r := range rest.Routes() {
		if r.Method != "GET" {
			continue
		}
		path, _ := w.request(r, "owner", "development")
		with := w.callers["owner"].Call("GET", path, nil).Want(r.Status)
		without := w.callers["owner"].Call("GET", strings.TrimSuffix(path, "/"), nil).Want(r.Status)
		if diff := cmp.Diff(with.Body, without.Body); diff != "" && r.Path != "/projects/{project}/audit/" {
			t.Errorf("%s without the slash: %s", name(r), diff)
		}
		head := w.callers["owner"].Call("HEAD", path, nil).Want(r.Status)
		if head.Body != "" || head.Header.Get("Content-Type") != with.Header.Get("Content-Type") {
			t.Errorf("HEAD of %s: %v %q", r.Path, head.Header, head.Body)
		}
	}
	p1 := "/projects/" + w.p1.slug
	w.callers["owner"].Call("PUT", p1+"/environments/development/secrets/SLASH", map[string]any{"value": "x"}).Want(201)
	w.callers["owner"].Call("DELETE", p1+"/environments/development/secrets/SLASH", nil).Want(204)
	w.callers["owner"].Call("DELETE", p1, nil).Want(204)
}

// TestOtherMethodsAreNamed: a method that a path does not have is 405 with those
// that it has, whoever asks.
func TestOtherMethodsAreNamed(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	w := newWorld(t, s, s.Onboard())
	methods := map[string][]string{}
	for _, r := range rest.Routes() {
		methods[r.Path] = append(methods[r.Path], r.Method)
	}
	delete(methods, environment+"secrets/bulk/") // may be a secret's path as well
	before := s.State()
	for path, has := range methods {
		filled := pathOf(rest.Route{Path: path}, w.p1.slug, "development", "API_KEY", randomID())
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "FOO", "get", "PROPFIND"} {
			if strings.Contains(strings.Join(has, " "), method) {
				continue
			}
			for _, c := range []*heartlocktest.Caller{w.callers["owner"], s.Anonymous()} {
				answer := c.Call(method, filled, nil)
				answer.WantProblem(405)
				for _, m := range has {
					if !strings.Contains(answer.Header.Get("Allow"), m) {
						t.Errorf("%s %s: Allow is %q, which lacks %s", method, path, answer.Header.Get("Allow"), m)
					}
				}
			}
			if strings.Contains(strings.Join(has, " "), "POST") {
				continue
			}
			overridden := w.callers["owner"].Call("POST", filled, `{}`, "X-HTTP-Method-Override: "+method, "X-HTTP-Method: "+method)
			overridden.WantProblem(405)
		}
	}
	for _, method := range []string{"TRACE", "FOO", "POST"} { // of a page
		s.Anonymous().Do(method, "/", nil).Want(405)
	}
	if diff := cmp.Diff(before, s.State()); diff != "" {
		t.Errorf("other methods changed the database:\n%s", diff)
	}
}

// TestCredentialsAreTakenExactly mangles a valid token in every way in which
// someone has been let in elsewhere.
func TestCredentialsAreTakenExactly(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		token := w.p1.tokens["read-token"].Token.Reveal()
		path := "/projects/" + w.p1.slug + "/environments/development/secrets/API_KEY/"
		body := token[4:]
		for what, header := range map[string]string{
			"one character less":   "Bearer " + token[:len(token)-1],
			"one character more":   "Bearer " + token + "0",
			"twice":                "Bearer " + token + token,
			"two with a comma":     "Bearer " + token + "," + token,
			"two with a space":     "Bearer " + token + " " + token,
			"garbage after it":     "Bearer " + token + "!!",
			"upper case":           "Bearer " + strings.ToUpper(token),
			"lower case":           "Bearer " + strings.ToLower(token),
			"its mark in capitals": "Bearer HLP_" + body,
			"without its mark":     "Bearer " + body,
			"another last digit":   "Bearer " + token[:len(token)-1] + string(other(token[len(token)-1])),
			"another first digit":  "Bearer hlp_" + string(other(body[0])) + body[1:],
			"two spaces":           "Bearer  " + token,
			"a tab":                "Bearer\t" + token,
			"no scheme":            token,
			"another scheme":       "Token " + token,
			"basic":                "Basic " + token,
			"no token":             "Bearer",
			"an empty token":       "Bearer ",
			"nothing":              "",
			"its prefix":           "Bearer " + token[:12],
			"its digest":           "Bearer 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			"quotes":               `Bearer "` + token + `"`,
			"the session":          "Bearer " + owner.Cookies["sessionid"],
		} {
			answer := s.Anonymous().Call("GET", path, nil, "Authorization: "+header)
			answer.WantProblem(401)
			if answer.Header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(answer.Body, body[:20]) {
				t.Errorf("%s: %v %s", what, answer.Header, answer.Body)
			}
			// A bad header does not fall back to a good cookie.
			owner.Call("GET", path, nil, "Authorization: "+header).WantProblem(401)
		}
		for _, header := range []string{"Bearer " + token, "bearer " + token, "BEARER " + token} {
			s.Anonymous().Call("GET", path, nil, "Authorization: "+header).Want(200)
		}
		for _, query := range []string{"?token=" + token, "?access_token=" + token, "?api_key=" + token, "?authorization=Bearer%20" + token} {
			if got := s.Anonymous().Call("GET", path+query, nil); got.Status != 401 {
				t.Errorf("%.20s…: %d", query, got.Status)
			}
		}
		for _, header := range []string{"X-Api-Key", "X-Token", "Proxy-Authorization", "X-Authorization"} {
			s.Anonymous().Call("GET", path, nil, header+": Bearer "+token).WantProblem(401)
		}
		s.Anonymous().Call("GET", path, nil, "Cookie: sessionid="+token).WantProblem(401)
		raw := func(headers string) heartlocktest.Answer {
			return s.Raw("GET " + api.Prefix + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + headers + "\r\n")
		}
		raw("Authorization: Bearer " + token + "\r\n").Want(200)
		raw("Authorization: Bearer " + token + "\r\nAuthorization: Bearer " + token + "\r\n").WantProblem(401)
		raw("Authorization: Bearer x\r\nAuthorization: Bearer " + token + "\r\n").WantProblem(401)
		raw("Authorization: Bearer " + token + "\r\n x\r\n").Want(401) // folded
		if s.Logs.Contains(body[:20]) {
			t.Error("the log holds a token")
		}
	})
}

// other is another digit of base62.
func other(c byte) byte {
	if c == 'a' {
		return 'b'
	}
	return 'a'
}

// TestHostsAreChecked is about who the request was meant for.
func TestHostsAreChecked(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{"ALLOWED_HOSTS=example.com,.below.org,[::1],127.0.0.1"}})
	owner := s.Onboard()
	for host, want := range map[string]int{
		"example.com": 200, "EXAMPLE.com": 200, "example.com.": 200, "example.com:8000": 200, "example.com.:8000": 200,
		"sub.example.com": 400, "badexample.com": 400, "example.com.evil.org": 400, "evil.org": 400,
		"below.org": 200, "a.below.org": 200, "a.b.below.org": 200, "-.below.org": 400, ".below.org": 400, "badbelow.org": 400,
		"[::1]": 200, "[::1]:80": 200, "[0:0::1]": 200, "::1": 400, "[::1": 400,
		"user@example.com": 400, "example.com:": 400, "example.com:abc": 400, "example.com:99999": 400, "example.com,evil.org": 400,
		"example.com/x": 400, "exa_mple.com": 400, "example.com evil.org": 400, "": 400,
	} {
		answer := s.Raw("GET " + api.Prefix + "/onboarding/ HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n").Want(want)
		if want == 400 && answer.Header.Get("Content-Type") == api.ProblemType {
			if p := answer.WantProblem(400); p.Detail != "Invalid Host header." {
				t.Errorf("Host %q: %q", host, p.Detail)
			}
		}
		for _, probe := range []string{"/health/", "/health", "/ready/"} {
			if strings.ContainsAny(host, "/ @,") || host == "" {
				continue // net/http refuses some of these itself
			}
			s.Raw("GET " + api.Prefix + probe + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n").Want(200)
		}
	}
	get := "GET " + api.Prefix + "/onboarding/ HTTP/1.1\r\nConnection: close\r\n"
	s.Raw(get + "Host: example.com\r\nHost: example.com\r\n\r\n").Want(400)
	s.Raw(get + "Host: example.com\r\nHost: evil.org\r\n\r\n").Want(400)
	s.Raw(get + "\r\n").Want(400)
	s.Raw("GET http://evil.org" + api.Prefix + "/onboarding/ HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n").Want(400)
	owner.Call("GET", "/auth/me/", nil, "X-Forwarded-Host: evil.org", "Forwarded: host=evil.org", "X-Host: evil.org").Want(200)
}
