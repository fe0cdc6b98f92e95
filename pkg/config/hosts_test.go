package config

import (
	"slices"
	"strings"
	"testing"
)

// headers are the Host headers that the tables are made of.
var headers = []string{
	"example.com", "EXAMPLE.COM", "example.com.", "example.com:8000", "sub.example.com", "a.b.example.com", "badexample.com",
	"[::1]", "[::1]:8000", "127.0.0.1:80", "xn--bcher-kva.example", "[::ffff:1.2.3.4]", "localhost", "a.localhost", "localhost:1",
}

// malformed are refused by every policy. The last row was accepted by Django
// under "*" or ".example.com".
var malformed = []string{
	"", " ", "user@example.com", "example.com/x", "example.com:", "example.com:abc", "example.com,a.com", "a_b.com", "exa mple.com", " example.com", "bücher.example",
	"::1", "[fe80::1%eth0]", "[::1", "::1]", "[example.com]", "[127.0.0.1]", "[]", "example.com:80:80", "example.com\x00", "example.com\n", "*", "http://example.com",
	"-.example.com", ".example.com", "..", ".", "example.com..", "example.com:99999", "example.com:123456", "-a.example.com", "a-.example.com",
}

func TestHostPolicyMatch(t *testing.T) {
	t.Parallel()
	example := []string{"example.com", "EXAMPLE.COM", "example.com.", "example.com:8000"}
	for _, c := range []struct {
		entries []string
		debug   bool
		want    []string
	}{
		{entries: []string{"example.com"}, want: example},
		{entries: []string{"EXAMPLE.com"}, want: example},
		{entries: []string{"example.com"}, debug: true, want: example},
		{entries: []string{".example.com"}, want: append(slices.Clone(example), "sub.example.com", "a.b.example.com")},
		{entries: []string{"*"}, want: headers},
		{entries: []string{"[::1]"}, want: []string{"[::1]", "[::1]:8000"}},
		{entries: []string{"[0:0:0:0:0:0:0:1]"}, want: []string{"[::1]", "[::1]:8000"}},
		{entries: []string{"127.0.0.1"}, want: []string{"127.0.0.1:80"}},
		{entries: nil, want: nil},
		{entries: nil, debug: true, want: []string{"[::1]", "[::1]:8000", "127.0.0.1:80", "localhost", "a.localhost", "localhost:1"}},
	} {
		policy, err := NewHostPolicy(c.entries, c.debug)
		if err != nil {
			t.Fatalf("%q: %v", c.entries, err)
		}
		for _, h := range headers {
			if got, want := policy.Match(h), slices.Contains(c.want, h); got != want {
				t.Errorf("%q (debug %v): %q gives %v", c.entries, c.debug, h, got)
			}
		}
		for _, h := range malformed {
			if policy.Match(h) || policy.MatchExact(h) {
				t.Errorf("%q accepts %q", c.entries, h)
			}
		}
	}
}

func TestHostPolicyMatchExact(t *testing.T) {
	t.Parallel()
	policy, err := NewHostPolicy([]string{"*", ".example.com", "exact.example.com", "[::1]"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]bool{
		"exact.example.com": true, "EXACT.example.com:8000": true, "[::1]:1": true, "example.com": false, "sub.example.com": false, "evil.com": false, "": false,
	} {
		if policy.MatchExact(header) != want {
			t.Errorf("%q: %v", header, !want)
		}
	}
}

func TestDeadHostEntries(t *testing.T) {
	t.Parallel()
	for entry, better := range map[string]string{
		"*.example.com":            "write .example.com",
		"example.com:8000":         "write example.com",
		"example.com.":             "write example.com",
		"https://example.com":      "write example.com",
		"https://example.com:8/x":  "write example.com",
		"::1":                      "write [::1]",
		"[::1]:8082":               "write [::1]",
		"fe80::1%eth0":             "write [fe80::1]",
		".":                        "",
		" example.com":             "",
		"":                         "",
		"a_b.com":                  "",
		"bücher.example":           "xn--",
		"-a.com":                   "",
		"..example.com":            "",
		"[fe80::1%eth0]":           "",
		"[1.2.3.4]":                "",
		"https://u:hunter2@a.com/": "",
	} {
		_, err := NewHostPolicy([]string{entry}, true)
		if err == nil || !strings.Contains(err.Error(), better) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", entry, err, better)
		}
	}
}

func FuzzHostMatch(f *testing.F) {
	for _, h := range append(slices.Clone(headers), malformed...) {
		f.Add(h)
	}
	policy, err := NewHostPolicy([]string{"*"}, false)
	if err != nil {
		f.Fatal(err)
	}
	suffix, err := NewHostPolicy([]string{".example.com"}, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		host, port, ok := SplitHost(header)
		if ok != policy.Match(header) {
			t.Fatal("SplitHost and Match disagree")
		}
		if !ok {
			return
		}
		if strings.ContainsAny(host, "/@\\ \t\r\n\x00%?#,") || host != strings.ToLower(host) {
			t.Fatalf("%q gave the host %q", header, host)
		}
		again, _, ok := SplitHost(host)
		if !ok || again != host {
			t.Fatalf("%q is not stable", host)
		}
		if port != "" && !strings.HasSuffix(header, ":"+port) {
			t.Fatalf("%q gave the port %q", header, port)
		}
		if suffix.Match(header) && host != "example.com" && !strings.HasSuffix(host, ".example.com") {
			t.Fatalf("%q matches .example.com", header)
		}
	})
}
