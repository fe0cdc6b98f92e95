package config

import (
	"slices"
	"strings"
	"testing"
)

func TestParseOrigin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://hl.example.com":      "https://hl.example.com",
		"HTTPS://HL.Example.com":      "https://hl.example.com",
		"https://hl.example.com/":     "https://hl.example.com",
		"https://hl.example.com:443":  "https://hl.example.com",
		"http://hl.example.com:80":    "http://hl.example.com",
		"http://hl.example.com:443":   "http://hl.example.com:443",
		"https://hl.example.com:8443": "https://hl.example.com:8443",
		"https://[::1]:8443":          "https://[::1]:8443",
		"http://127.0.0.1:8082":       "http://127.0.0.1:8082",

		"": "", "null": "", "*": "", "hl.example.com": "", "//hl.example.com": "", "ftp://h": "", "https://": "", "https://*": "", "https://*.a.com": "",
		"https://h/x": "", "https://h//": "", "https://h?x": "", "https://h#x": "", "https://u@h": "", "https://u:hunter2@h": "", "https://h:": "", "https://h:port": "",
		"https://h.": "", "https://h.:443": "", "https://a b": "", "https://a,b": "", "https://bücher.de": "", "https://h\\x": "", " https://h": "", "https://h ": "",
	} {
		got, err := ParseOrigin(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats the password", text)
		}
	}
}

func TestOriginsMatch(t *testing.T) {
	t.Parallel()
	list, err := NewOrigins([]string{"https://HL.example.com:443/", "https://*.example.org", "https://*.port.org:8443"}, true)
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]bool{
		"https://hl.example.com":                         true,
		"https://hl.example.com:443":                     true,
		"https://a.example.org":                          true,
		"https://a.b.example.org":                        true,
		"https://a.port.org:8443":                        true,
		"https://example.org":                            false, // the apex only if it is listed
		"http://hl.example.com":                          false,
		"http://a.example.org":                           false,
		"https://a.example.org:8443":                     false,
		"https://a.port.org":                             false,
		"https://HL.example.com":                         false, // no browser writes that
		"https://hl.example.com/":                        false,
		"https://hl.example.com/evil":                    false,
		"https://hl.example.com.evil.com":                false,
		"https://evilexample.org":                        false,
		"https://hl.example.com, https://hl.example.com": false,
		"null": false, "": false, "https://.example.org": false,
	} {
		if list.Match(header) != want {
			t.Errorf("%q: %v", header, !want)
		}
	}
	if want := []string{"https://hl.example.com", "https://*.example.org", "https://*.port.org:8443"}; !slices.Equal(list.List(), want) {
		t.Errorf("List = %q", list.List())
	}
	if (Origins{}).Match("https://h") || !(Origins{}).With("https://h").Match("https://h") {
		t.Error("the zero list")
	}
}

func TestOriginEntriesThatWouldNeverMatch(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"https://*", "*", "https://*.*.x", "https://a.*", "https://foo*.x", "null", "app.example.com", "https://*.[::1]", "https://a/x", "https://*.a.com/x", "ftp://*.a.com"} {
		if _, err := NewOrigins([]string{entry}, true); err == nil {
			t.Errorf("%q is accepted", entry)
		}
	}
	if _, err := NewOrigins([]string{"https://*.a.com"}, false); err == nil {
		t.Error("a wildcard is accepted for CORS")
	}
}

func TestCSRFFallsBackToCORSAndTrustsTheAppURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ []string
		want    []string
	}{
		{nil, nil},
		{[]string{"CORS_ALLOWED_ORIGINS=https://a.com"}, []string{"https://a.com"}},
		{[]string{"CORS_ALLOWED_ORIGINS=https://a.com", "CSRF_TRUSTED_ORIGINS="}, []string{"https://a.com"}},
		{[]string{"CORS_ALLOWED_ORIGINS=https://a.com", "CSRF_TRUSTED_ORIGINS=https://b.com"}, []string{"https://b.com"}},
		{[]string{"CORS_ALLOWED_ORIGINS=https://a.com", "HEARTLOCK_APP_URL=https://hl.com"}, []string{"https://a.com", "https://hl.com"}},
	} {
		s := newFixture(t, c.environ...).load()
		if got := s.Security.CSRFTrustedOrigins.List(); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.environ, got)
		}
		if s.Security.CORSAllowedOrigins.Match("https://hl.com") {
			t.Error("the app's own origin got into the CORS list")
		}
	}
}
