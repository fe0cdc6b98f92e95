package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRefusedValues: each of these stops the start, and the error names exactly
// this variable.
func TestRefusedValues(t *testing.T) {
	t.Parallel()
	https := "https://idp.example.com"
	for name, values := range map[string][]string{
		"DEBUG":                           {"t", "enabled", "1.0", "'true'", "true # c"},
		"ALLOWED_HOSTS":                   {"*.a.com", "a.com:80", "a.com.", "https://a.com", "::1", "a.com b.com", "a.com;b.com", `["a.com"]`},
		"HEARTLOCK_LISTEN":                {"8082", "0.0.0.0", "h:port", "h:99999", "http://h:1", "::1:80", " :80", "a_b!:80"},
		"HEARTLOCK_APP_URL":               {"h", "//h", "https://u@h", "https://h/x", "https://h/x?y", "https://h?y", "https://h#y", "ftp://h", "https://"},
		"HEARTLOCK_INVITE_EXPIRY_DAYS":    {"0", "-1", "366", "7.5", "abc"},
		"HEARTLOCK_HISTORY_VERSIONS":      {"-1", "1000001", "all", "2.5"},
		"HEARTLOCK_REQUIRE_SECOND_FACTOR": {"yes", "all", "superuser", "none,everyone"},
		"HEARTLOCK_HISTORY_DAYS":          {"-1", "36501", "30d", "never"},
		"HEARTLOCK_AUDIT_DAYS":            {"-1", "36501", "30d", "never"},
		"HEARTLOCK_BACKUP_INTERVAL":       {"59", "31536001", "24h", "daily"},
		"HEARTLOCK_BACKUP_KEEP":           {"0", "1001", "all"},
		"HEARTLOCK_DISABLE_ONBOARDING":    {"t"},
		"DB_CONN_MAX_AGE":                 {"-1", "x", "86401"},
		"HEARTLOCK_ENCRYPTION_KEY":        {"x", strings.TrimRight(keyA, "="), strings.Repeat("0a", 32), strings.Repeat("A", 43) + "=", keyA + "," + keyA, keyA + ","},
		"HEARTLOCK_TRUSTED_PROXIES":       {"*", "10/8", "10.0.0.1/8", "::ffff:10.0.0.0/104", "localhost", "fe80::1%eth0"},
		"SECURE_HSTS_SECONDS":             {"-1", "1y"},
		"SECURE_SSL_REDIRECT":             {"True # x"},
		"CORS_ALLOWED_ORIGINS":            {"*", "null", "https://*.a.com", "https://a.com/x", "a.com", "https://u@a.com"},
		"CSRF_TRUSTED_ORIGINS":            {"https://*", "*", "https://*.*.x", "https://a.*", "https://foo*.x", "null", "a.com", "https://a.com/x"},
		"OIDC_ENABLE":                     {"maybe"},
		"OIDC_SCOPES":                     {"email profile", "openid,email"},
		"OIDC_TOKEN_ENDPOINT":             {"idp", "ftp://idp/x", "https://u:p@idp/x", "https://idp/x#f", "https://idp/x?q=1", "https:///x", "https://bücher.de/", "https://i dp/"},
		"OIDC_AUTHORIZATION_ENDPOINT":     {"https://idp/x#f", "https://idp\\@evil/"},
		"OIDC_REDIRECT_URI":               {https + "/other/", https + "/oidc/callback", https + "/oidc/callback/?x", "/oidc/callback/"},
		"EMAIL_BACKEND":                   {"sendmail", "app.mail.EmailBackend"},
		"EMAIL_HOST":                      {"smtp.example.com:587", "https://smtp", "a b"},
		"EMAIL_PORT":                      {"0", "65536", "x"},
		"EMAIL_TIMEOUT":                   {"0", "121", "6.5"},
		"DEFAULT_FROM_EMAIL":              {"Heartlock ", "a@b.co, c@d.co", "x\r\nBcc: y@z", "nobody"},
		"STATIC_URL":                      {"static", "//evil/", "https://u:p@h/"},
		"SECURE_HSTS_INCLUDE_SUBDOMAINS":  {"t"},
		"OIDC_CREATE_UNKNOWN_USER":        {"no!"},
	} {
		for _, value := range values {
			names, text := newFixture(t, name+"="+value).fails()
			if !slices.Equal(names, []string{name}) {
				t.Errorf("%s=%q: %s", name, value, text)
			}
			if strings.Contains(text, "\n") || strings.ContainsAny(text, "\r\x00") {
				t.Errorf("%s=%q: the error is not one line", name, value)
			}
		}
	}
}

func TestSecretKeyRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key string
		ok  bool
	}{
		{"", false},
		{insecureSecretKey, false},
		{"django-insecure-" + goodKey, false},
		{goodKey[:49], false},
		{goodKey, true},
		{strings.Repeat("a", 49) + "b", false},
		{strings.Repeat("abcd", 20), false},
		{strings.Repeat("äbcdé", 9) + "äbcd", false}, // characters, not bytes
		{strings.Repeat("äbcdé", 10), true},
		{"$" + goodKey, true},
	} {
		f := newFixture(t, "DEBUG=False", "HEARTLOCK_ENCRYPTION_KEY="+keyA, "SECRET_KEY="+c.key)
		if c.ok {
			if s := f.load(); s.SecretKeyInsecure || s.SecretKey.Reveal() != c.key {
				t.Errorf("%q is called insecure", c.key)
			}
		} else if names, text := f.fails(); !slices.Equal(names, []string{varSecretKey}) || c.key != "" && strings.Contains(text, c.key) {
			t.Errorf("%q: %s", c.key, text)
		}
		debug := newFixture(t, "SECRET_KEY="+c.key).load()
		if debug.SecretKeyInsecure == c.ok {
			t.Errorf("%q with DEBUG=True: insecure %v", c.key, debug.SecretKeyInsecure)
		}
		fallback := production(t, "SECRET_KEY_FALLBACKS="+goodKey+"x, "+c.key)
		if c.ok || c.key == "" {
			fallback.load()
		} else if names, _ := fallback.fails(); !slices.Equal(names, []string{varSecretFallbacks}) {
			t.Errorf("fallback %q: %q", c.key, names)
		}
	}
	if names, _ := newFixture(t, "DEBUG=False").fails(); !slices.Equal(names, []string{varSecretKey}) {
		t.Errorf("unset: %q", names)
	}
}

func TestSecurityIsForcedInProduction(t *testing.T) {
	t.Parallel()
	lowered := []string{"SESSION_COOKIE_SECURE=False", "CSRF_COOKIE_SECURE=0", "SECURE_CONTENT_TYPE_NOSNIFF=off"}
	f := production(t, lowered...)
	s := f.load()
	if !s.Security.SessionCookieSecure || !s.Security.CSRFCookieSecure || !s.Security.ContentTypeNosniff {
		t.Errorf("%+v", s.Security)
	}
	for _, name := range []string{varSessionSecure, varCSRFSecure, varNosniff} {
		if !hasWarning(s, name) || !strings.HasPrefix(f.setting(name).Source, "forced") || f.setting(name).Value != "True" {
			t.Errorf("%s: %+v, warnings %q", name, f.setting(name), s.Warnings)
		}
	}
	if s := newFixture(t, lowered...).load(); s.Security.SessionCookieSecure || s.Security.CSRFCookieSecure || !s.Security.ContentTypeNosniff {
		t.Errorf("development: %+v", s.Security)
	}
	if s := newFixture(t, "SECURE_SSL_REDIRECT=yes", "SECURE_HSTS_SECONDS=60").load(); !s.Security.SSLRedirect || s.Security.HSTSSeconds != 60 {
		t.Errorf("an explicit value does not count in development: %+v", s.Security)
	}
}

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	check := func(s *Server, forwardedFor bool, want map[string]bool) {
		t.Helper()
		if s.Security.TrustedProxies.ForwardedFor != forwardedFor {
			t.Errorf("ForwardedFor = %v", !forwardedFor)
		}
		for text, trusted := range want {
			if s.Security.TrustedProxies.Trusts(netip.MustParseAddr(text)) != trusted {
				t.Errorf("%s: %v", text, !trusted)
			}
		}
	}
	check(newFixture(t).load(), false, map[string]bool{
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "172.31.0.1": true, "172.32.0.1": false, "192.168.1.1": true, "fd00::1": true,
		"::ffff:10.0.0.1": true, "8.8.8.8": false, "::ffff:8.8.8.8": false, "2001:db8::1": false, "fe80::1%eth0": false,
	})
	check(newFixture(t, "HEARTLOCK_TRUSTED_PROXIES=192.0.2.7, 2001:db8::/32").load(), true, map[string]bool{
		"192.0.2.7": true, "192.0.2.8": false, "2001:db8::5": true, "2001:db8::5%x": true, "127.0.0.1": false, "10.0.0.1": false,
	})
}

func TestMailRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ string // separated by spaces
		want    string // backend, TLS, sender
	}{
		{"", "console starttls Heartlock <noreply@localhost>"},
		{"EMAIL_HOST=smtp", "smtp starttls Heartlock <noreply@localhost>"},
		{"EMAIL_HOST=smtp EMAIL_BACKEND=console", "console starttls Heartlock <noreply@localhost>"},
		{"EMAIL_BACKEND=django.core.mail.backends.dummy.EmailBackend", "dummy starttls Heartlock <noreply@localhost>"},
		{"EMAIL_BACKEND=django.core.mail.backends.filebased.EmailBackend", "filebased starttls Heartlock <noreply@localhost>"},
		{"EMAIL_BACKEND=locmem", "locmem starttls Heartlock <noreply@localhost>"},
		{"EMAIL_HOST=smtp EMAIL_USE_SSL=True", "smtp tls Heartlock <noreply@localhost>"},
		{"EMAIL_HOST=smtp EMAIL_USE_SSL=True EMAIL_USE_TLS=False", "smtp tls Heartlock <noreply@localhost>"},
		{"EMAIL_HOST=smtp EMAIL_USE_TLS=on", "smtp starttls Heartlock <noreply@localhost>"},
		{"EMAIL_HOST=smtp EMAIL_USE_TLS=no", "smtp none Heartlock <noreply@localhost>"},
		{"HEARTLOCK_APP_URL=https://hl.example.com:8443", "console starttls Heartlock <noreply@hl.example.com>"},
		{"HEARTLOCK_APP_URL=https://192.0.2.1", "console starttls Heartlock <noreply@localhost>"},
		{"DEFAULT_FROM_EMAIL=noreply@x.co", "console starttls noreply@x.co"},
		{"DEFAULT_FROM_EMAIL=Heartlock<noreply@x.co>", "console starttls Heartlock <noreply@x.co>"},
	} {
		m := newFixture(t, strings.Fields(c.environ)...).load().Mail
		if got := fmt.Sprintf("%s %s %s", m.Backend, m.TLS, fromText(m.From)); got != c.want {
			t.Errorf("%s: %s, want %s", c.environ, got, c.want)
		}
		if m.Port != 587 || m.Timeout != 10*time.Second {
			t.Errorf("port %d, timeout %s", m.Port, m.Timeout)
		}
	}
	for _, environ := range []string{"EMAIL_USE_TLS=True EMAIL_USE_SSL=True", "EMAIL_BACKEND=smtp"} {
		newFixture(t, strings.Fields(environ)...).fails()
	}
}

func TestOIDCRules(t *testing.T) {
	t.Parallel()
	complete := []string{"OIDC_CLIENT_ID=id", "OIDC_AUTHORIZATION_ENDPOINT=https://i/auth?x=1", "OIDC_TOKEN_ENDPOINT=https://i/token", "OIDC_USERINFO_ENDPOINT=https://i/me"}
	for _, c := range []struct {
		environ []string
		enabled bool
		missing string
	}{
		{nil, false, ""},
		{complete, true, ""},
		{append(slices.Clone(complete), "OIDC_ENABLE=True"), true, ""},
		{append(slices.Clone(complete), "OIDC_ENABLE=False"), false, ""},
		{complete[:3], false, ""},
		{append(slices.Clone(complete[:3]), "OIDC_ENABLE=True"), false, "OIDC_USERINFO_ENDPOINT"},
	} {
		s := newFixture(t, c.environ...).load()
		if s.OIDC.Enabled != c.enabled || strings.Join(s.OIDC.Missing, " ") != c.missing || (c.missing != "") != hasWarning(s, varOIDCEnable) {
			t.Errorf("%q: %+v, %q", c.environ, s.OIDC, s.Warnings)
		}
	}
	s := newFixture(t, append(complete, "HEARTLOCK_APP_URL=https://hl.com/")...).appConfig(`{"oidc":{"client_id":"file","create_unknown_user":false}}`).load()
	if s.OIDC.RedirectURI != "https://hl.com/oidc/callback/" || s.OIDC.ClientID != "file" || s.OIDC.CreateUnknownUser || s.OIDC.TokenEndpoint != "https://i/token" || !slices.Equal(s.OIDC.Scopes, []string{"openid", "email", "profile"}) {
		t.Errorf("%+v", s.OIDC)
	}
	newFixture(t, "OIDC_TOKEN_ENDPOINT=http://idp.example.com/").load()
	production(t, "OIDC_TOKEN_ENDPOINT=http://localhost:5556/token").load()
	production(t, "OIDC_TOKEN_ENDPOINT=http://idp.example.com/").fails()
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f    *fixture
		part string // "" = no warning at all
	}{
		{newFixture(t), ""},
		{newFixture(t, "HEARTLOCK_LISTEN=0.0.0.0:8082"), "must not be reachable"},
		{newFixture(t, "HEARTLOCK_LISTEN=:8082"), "must not be reachable"},
		{newFixture(t, "HEARTLOCK_LISTEN=localhost:1"), ""},
		{newFixture(t, "HEARTLOCK_LISTEN=[::1]:1"), ""},
		{newFixture(t, "HEARTLOCK_APP_URL=https://h/"), "ends in a slash"},
		{newFixture(t, "EMAIL_HOST_USER=u"), "Only one of"},
		{newFixture(t, "EMAIL_HOST_PASSWORD="+canary), "Only one of"},
		{newFixture(t, "HEARTLOCK_TRUSTED_PROXIES=0.0.0.0/0"), "forge"},
		{newFixture(t, "SECRET_KEY=short"), "SECRET_KEY is shorter"},
		{production(t, "EMAIL_HOST=smtp"), ""},
		{production(t), "no mail is sent"},
		{production(t, "EMAIL_BACKEND=console"), "written to the log"},
		{production(t, "ALLOWED_HOSTS=*"), "links in mail"},
		{production(t, "ALLOWED_HOSTS=,"), "empty list"},
		{production(t, "HEARTLOCK_APP_URL=http://h"), "http://"},
		{production(t, "SECURE_SSL_REDIRECT=False"), "X-Forwarded-Proto"},
		{production(t, "SECURE_HSTS_PRELOAD=True"), "preload"},
		{production(t, "DATABASE_URL="), "using SQLite at"},
		{newFixture(t, "EMAIL_HOST=127.0.0.1", "EMAIL_USE_TLS=no"), ""},
		{newFixture(t, "EMAIL_HOST=smtp", "EMAIL_USE_TLS=no"), "mail goes to smtp unencrypted"},
		{newFixture(t, "EMAIL_HOST=smtp", "EMAIL_USE_SSL=True"), ""},
		{production(t, "EMAIL_HOST=smtp", "EMAIL_USE_TLS=no", "EMAIL_HOST_USER=u", "EMAIL_HOST_PASSWORD="+canary), "unencrypted"},
	} {
		s := c.f.load()
		if c.part == "" && len(s.Warnings) > 0 || c.part != "" && !hasWarning(s, c.part) || hasWarning(s, canary) {
			t.Errorf("%q: %q, want %q", c.f.opts.Environ, s.Warnings, c.part)
		}
	}
}

func TestConnMaxAge(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]time.Duration{
		"": time.Minute, "DB_CONN_MAX_AGE=0": 0, "DB_CONN_MAX_AGE=5": 5 * time.Second, "DATABASE_URL=postgres://h/db?conn_max_age=7 DB_CONN_MAX_AGE=5": 7 * time.Second,
	} {
		if got := newFixture(t, strings.Fields(environ)...).load().Database.Options.ConnMaxAge; got != want {
			t.Errorf("%q: %s", environ, got)
		}
	}
	production(t, "DATABASE_URL=sqlite://:memory:").fails()
	newFixture(t, "DATABASE_URL=sqlite://:memory:").load()
}
