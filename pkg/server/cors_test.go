package server

import (
	"net/http/httptest"
	"testing"

	"github.com/heartlock/heartlock/pkg/config"
)

func TestCORS(t *testing.T) {
	allowed, err := config.NewOrigins([]string{"https://app.example.com", "http://localhost:4200"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, method, path, origin string
		asks                       bool
		allow                      string
		preflight                  bool
	}{
		{"allowed", "GET", "/api/v1/projects/", "https://app.example.com", false, "https://app.example.com", false},
		{"allowed with port", "PUT", "/api/v1/projects/", "http://localhost:4200", false, "http://localhost:4200", false},
		{"preflight", "OPTIONS", "/api/v1/projects/", "https://app.example.com", true, "https://app.example.com", true},
		{"preflight of a stranger", "OPTIONS", "/api/v1/projects/", "https://evil.example.com", true, "", true},
		{"plain OPTIONS", "OPTIONS", "/api/v1/projects/", "https://app.example.com", false, "https://app.example.com", false},
		{"stranger", "GET", "/api/v1/projects/", "https://evil.example.com", false, "", false},
		{"suffix", "GET", "/api/v1/projects/", "https://app.example.com.evil.com", false, "", false},
		{"other scheme", "GET", "/api/v1/projects/", "http://app.example.com", false, "", false},
		{"other port", "GET", "/api/v1/projects/", "https://app.example.com:8443", false, "", false},
		{"with a path", "GET", "/api/v1/projects/", "https://app.example.com/evil", false, "", false},
		{"null", "GET", "/api/v1/projects/", "null", false, "", false},
		{"none", "GET", "/api/v1/projects/", "", false, "", false},
		{"not the API", "GET", "/", "https://app.example.com", false, "", false},
	} {
		r := httptest.NewRequest(c.method, "http://h"+c.path, nil)
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.asks {
			r.Header.Set("Access-Control-Request-Method", "PUT")
		}
		w := httptest.NewRecorder()
		if got := allowOrigin(w, r, allowed); got != c.preflight {
			t.Errorf("%s: preflight = %v", c.name, got)
		}
		h := w.Header()
		if got := h.Get("Access-Control-Allow-Origin"); got != c.allow {
			t.Errorf("%s: allowed origin = %q, want %q", c.name, got, c.allow)
		}
		if h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", c.name)
		}
		if got := h.Get("Access-Control-Max-Age") != ""; got != (c.asks && c.allow != "") {
			t.Errorf("%s: preflight headers are there: %v", c.name, got)
		}
	}
	if r := httptest.NewRequest("OPTIONS", "http://h/api/v1/", nil); allowOrigin(httptest.NewRecorder(), r, config.Origins{}) {
		t.Error("a preflight is answered although no origin is allowed")
	}
}
