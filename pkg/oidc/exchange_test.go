package oidc_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/oidc"
)

const (
	nonce    = "nonce-of-the-attempt"
	verifier = "verifier-of-the-attempt-0123456789-0123456789"
	callback = "https://heartlock.example.com/oidc/callback/"
)

func configOf(f *heartlocktest.OpenIDFake) oidc.Config {
	return oidc.Config{
		ClientID: heartlocktest.OpenIDClient, ClientSecret: func() string { return heartlocktest.OpenIDSecret },
		AuthorizationEndpoint: f.URL + "/auth", TokenEndpoint: f.URL + "/oauth/token", UserinfoEndpoint: f.URL + "/userinfo",
		Scopes: []string{"openid", "email"}, RedirectURI: callback,
	}
}

func newProvider(t *testing.T, c oidc.Config) *oidc.Provider {
	t.Helper()
	p, err := oidc.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// code signs in at the fake and gives the code that it sends the browser back with.
func code(t *testing.T, p *oidc.Provider) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(p.AuthorizationURL("state", nonce, verifier, callback))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	back, err := answer.Location()
	if err != nil {
		t.Fatal(err)
	}
	return back.Query().Get("code")
}

func ann(int) map[string]any {
	return map[string]any{"sub": "ann-1", "email": "ann@example.com", "email_verified": true, "given_name": "Ann", "family_name": "Lee"}
}

func TestExchangeTellsWhoItIs(t *testing.T) {
	t.Parallel()
	f := heartlocktest.StartOpenIDFake(t, ann)
	p := newProvider(t, configOf(f))
	got, err := p.Exchange(t.Context(), code(t, p), verifier, nonce, callback)
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	want := oidc.Identity{
		Provider: f.URL + "/userinfo", Subject: "ann-1", Email: "ann@example.com", EmailVerified: true, FirstName: "Ann", LastName: "Lee",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := f.Hits("/oauth/token"); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
	if _, err := p.Exchange(t.Context(), code(t, p), verifier+"x", nonce, callback); !errors.Is(err, fault.Invalid) {
		t.Errorf("a wrong verifier gives %v", err)
	}
}

func TestUserinfoIsTakenStrictly(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		claims   map[string]any
		verified bool
		kind     fault.Kind // Internal: none
	}{
		"true":          {map[string]any{"sub": "s", "email": "a@example.com", "email_verified": true}, true, 0},
		"true in text":  {map[string]any{"sub": "s", "email": "a@example.com", "email_verified": "true"}, true, 0},
		"false":         {map[string]any{"sub": "s", "email": "a@example.com", "email_verified": false}, false, 0},
		"false in text": {map[string]any{"sub": "s", "email": "a@example.com", "email_verified": "false"}, false, 0},
		"absent":        {map[string]any{"sub": "s", "email": "a@example.com"}, false, 0},
		"null":          {map[string]any{"sub": "s", "email": "a@example.com", "email_verified": nil}, false, 0},
		"a list":        {map[string]any{"sub": "s", "email": "a@example.com", "email_verified": []any{}}, false, 0},
		"a full list":   {map[string]any{"sub": "s", "email": "a@example.com", "email_verified": []any{true}}, false, 0},
		"one":           {map[string]any{"sub": "s", "email": "a@example.com", "email_verified": 1}, false, 0},
		"TRUE":          {map[string]any{"sub": "s", "email": "a@example.com", "email_verified": "TRUE"}, false, 0},
		"no sub":        {map[string]any{"email": "a@example.com", "email_verified": true}, false, fault.Forbidden},
		"empty sub":     {map[string]any{"sub": ""}, false, fault.Forbidden},
		"sub a number":  {map[string]any{"sub": 17}, false, fault.Forbidden},
		"sub a list":    {map[string]any{"sub": []any{"s"}}, false, fault.Forbidden},
		"NUL in sub":    {map[string]any{"sub": "a\x00b"}, false, fault.Forbidden},
		"sub of 256":    {map[string]any{"sub": strings.Repeat("s", 256)}, false, fault.Forbidden},
		"sub of 255":    {map[string]any{"sub": strings.Repeat("s", 255), "email": "a@example.com"}, false, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := heartlocktest.StartOpenIDFake(t, func(int) map[string]any { return test.claims })
			p := newProvider(t, configOf(f))
			got, err := p.Exchange(t.Context(), code(t, p), verifier, nonce, callback)
			if test.kind != 0 {
				if !errors.Is(err, test.kind) || got != (oidc.Identity{}) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || got.EmailVerified != test.verified {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// idClaims are those of a good ID token.
func idClaims(f *heartlocktest.OpenIDFake, n string) map[string]any {
	return map[string]any{
		"iss": f.URL, "aud": heartlocktest.OpenIDClient, "sub": "ann-1", "nonce": n,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	}
}

func TestIDTokenIsVerifiedFully(t *testing.T) {
	t.Parallel()
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	change := func(name string, value any) func(*heartlocktest.OpenIDFake, string) string {
		return func(f *heartlocktest.OpenIDFake, n string) string {
			claims := idClaims(f, n)
			claims[name] = value
			return f.Sign(f.Key, claims)
		}
	}
	tests := map[string]struct {
		make func(f *heartlocktest.OpenIDFake, nonce string) string
		good bool
	}{
		"good":              {change("azp", heartlocktest.OpenIDClient), true},
		"two audiences":     {change("aud", []string{heartlocktest.OpenIDClient, "other"}), false}, // and no azp
		"none":              {func(*heartlocktest.OpenIDFake, string) string { return "" }, false},
		"other subject":     {change("sub", "victim"), false},
		"no subject":        {change("sub", ""), false},
		"other issuer":      {change("iss", "https://evil.example.com"), false},
		"other audience":    {change("aud", "other"), false},
		"other party":       {change("azp", "other"), false},
		"other nonce":       {change("nonce", "other"), false},
		"no nonce":          {change("nonce", nil), false},
		"expired":           {change("exp", time.Now().Add(-time.Hour).Unix()), false},
		"no expiry":         {change("exp", nil), false},
		"not yet":           {change("nbf", time.Now().Add(time.Hour).Unix()), false},
		"other token":       {change("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), false},
		"alg none":          {func(f *heartlocktest.OpenIDFake, n string) string { return f.Unsigned(idClaims(f, n)) }, false},
		"of a foreign key":  {func(f *heartlocktest.OpenIDFake, n string) string { return f.Sign(foreign, idClaims(f, n)) }, false},
		"not a token":       {func(*heartlocktest.OpenIDFake, string) string { return "a.b.c" }, false},
		"a changed payload": {func(f *heartlocktest.OpenIDFake, n string) string { return swapPayload(f, n) }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := heartlocktest.StartOpenIDFake(t, ann)
			f.IDToken = func(n string) string { return test.make(f, n) }
			c := configOf(f)
			c.Issuer = f.URL
			p := newProvider(t, c)
			got, err := p.Exchange(t.Context(), code(t, p), verifier, nonce, callback)
			if test.good {
				if err != nil || got.Provider != f.URL || got.FormerProvider != f.URL+"/userinfo" {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if !errors.Is(err, fault.Forbidden) || got != (oidc.Identity{}) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// swapPayload is a good token with the payload of another one.
func swapPayload(f *heartlocktest.OpenIDFake, n string) string {
	good := strings.Split(f.Sign(f.Key, idClaims(f, n)), ".")
	other := idClaims(f, n)
	other["exp"] = time.Now().Add(time.Hour).Unix()
	good[1] = strings.Split(f.Sign(f.Key, other), ".")[1]
	return strings.Join(good, ".")
}

func TestWithoutAnIssuerTheIDTokenIsNotLookedAt(t *testing.T) {
	t.Parallel()
	f := heartlocktest.StartOpenIDFake(t, ann)
	f.IDToken = func(string) string { return f.Unsigned(map[string]any{"sub": "victim"}) }
	p := newProvider(t, configOf(f))
	got, err := p.Exchange(t.Context(), code(t, p), verifier, nonce, callback)
	if err != nil || got.Subject != "ann-1" || f.Hits("/keys") != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestKeysOfTheProviderMayChange(t *testing.T) {
	t.Parallel()
	f := heartlocktest.StartOpenIDFake(t, ann)
	f.IDToken = func(n string) string { return f.Sign(f.Key, idClaims(f, n)) }
	c := configOf(f)
	c.Issuer = f.URL
	p := newProvider(t, c)
	for range 2 {
		if _, err := p.Exchange(t.Context(), code(t, p), verifier, nonce, callback); err != nil {
			t.Fatal(fault.Detail(err))
		}
		var err error
		if f.Key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.Hits("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the discovery document was read %d times", n)
	}
}

func TestMisbehavingProvider(t *testing.T) {
	t.Parallel()
	var canary atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { canary.Add(1) }))
	t.Cleanup(target.Close)
	const text = "provider text canary"
	fails := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, http.StatusInternalServerError) }
	moves := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	}
	huge := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"sub":"ann-1","access_token":"access-1","token_type":"Bearer","x":"`))
		for range 64 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<16))
		}
		_, _ = w.Write([]byte(`"}`))
	}
	answers := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(body))
		}
	}
	tests := map[string]struct {
		path    string
		handler http.HandlerFunc
	}{
		"token: 500":          {"/oauth/token", fails},
		"token: redirect":     {"/oauth/token", moves},
		"token: huge":         {"/oauth/token", huge},
		"token: not JSON":     {"/oauth/token", answers("application/json", text)},
		"token: no token":     {"/oauth/token", answers("application/json", `{"token_type":"Bearer"}`)},
		"token: other kind":   {"/oauth/token", answers("application/json", `{"access_token":"access-1","token_type":"mac"}`)},
		"userinfo: 500":       {"/userinfo", fails},
		"userinfo: redirect":  {"/userinfo", moves},
		"userinfo: huge":      {"/userinfo", huge},
		"userinfo: HTML":      {"/userinfo", answers("text/html", `{"sub":"ann-1"}`)},
		"userinfo: signed":    {"/userinfo", answers("application/jwt", "a.b.c")},
		"userinfo: two subs":  {"/userinfo", answers("application/json", `{"sub":"ann-1","sub":"victim"}`)},
		"userinfo: a list":    {"/userinfo", answers("application/json", `["ann-1"]`)},
		"userinfo: truncated": {"/userinfo", answers("application/json", `{"sub":"ann-1"`)},
		"discovery: 500":      {"/.well-known/openid-configuration", fails},
		"discovery: redirect": {"/.well-known/openid-configuration", moves},
		"discovery: other":    {"/.well-known/openid-configuration", answers("application/json", `{"issuer":"https://evil.example.com"}`)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := heartlocktest.StartOpenIDFake(t, ann)
			f.IDToken = func(n string) string { return f.Sign(f.Key, idClaims(f, n)) }
			f.Handlers[test.path] = test.handler
			c := configOf(f)
			c.Issuer = f.URL
			p := newProvider(t, c)
			_, err := p.Exchange(t.Context(), code(t, p), verifier, nonce, callback)
			if !errors.Is(err, fault.Unavailable) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(fault.Detail(err), text) {
				t.Errorf("the provider's text gets into the log: %s", fault.Detail(err))
			}
		})
	}
	t.Cleanup(func() {
		if n := canary.Load(); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

func TestClientSecretIsRefusedInWords(t *testing.T) {
	t.Parallel()
	f := heartlocktest.StartOpenIDFake(t, ann)
	c := configOf(f)
	c.ClientSecret = func() string { return "wrong-canary" }
	p := newProvider(t, c)
	_, err := p.Exchange(t.Context(), code(t, p), verifier, nonce, callback)
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "client id or secret") {
		t.Errorf("got %v", err)
	}
	if detail := fault.Detail(err); strings.Contains(detail, "canary") || !strings.Contains(detail, "invalid_client") {
		t.Errorf("the log gets %q", detail)
	}
	findings := p.Test(t.Context(), callback)
	if findings[1].OK || !strings.Contains(findings[1].Message, "invalid_client") {
		t.Errorf("the test says %+v", findings)
	}
}

func TestHangingProviderIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/oauth/token", "/userinfo"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			f := heartlocktest.StartOpenIDFake(t, ann)
			gone := make(chan struct{})
			f.Handlers[path] = func(_ http.ResponseWriter, r *http.Request) {
				if err := r.ParseForm(); err != nil { // the end of the connection is noticed once the body is read
					t.Error(err)
				}
				<-r.Context().Done()
				close(gone)
			}
			p := newProvider(t, configOf(f))
			start := time.Now()
			_, err := p.Exchange(t.Context(), code(t, p), verifier, nonce, callback)
			if took := time.Since(start); took > 12*time.Second {
				t.Errorf("it took %v", took)
			}
			if !errors.Is(err, fault.Unavailable) || !strings.Contains(fault.Detail(err), "in time") {
				t.Errorf("got %v", fault.Detail(err))
			}
			select {
			case <-gone: // nothing of ours holds on to it
			case <-time.After(10 * time.Second):
				t.Error("the connection stays open")
			}
		})
	}
}

func TestContextEndsAnExchange(t *testing.T) {
	t.Parallel()
	f := heartlocktest.StartOpenIDFake(t, ann)
	p := newProvider(t, configOf(f))
	c := code(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Exchange(ctx, c, verifier, nonce, callback); !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAuthorizationURLJoinsTheQueryOfTheEndpoint(t *testing.T) {
	t.Parallel()
	f := heartlocktest.StartOpenIDFake(t, ann)
	c := configOf(f)
	c.AuthorizationEndpoint += "?tenant=a%26b&client_id=evil&state=evil"
	c.EndSessionEndpoint = f.URL + "/end?tenant=a"
	p := newProvider(t, c)
	u, err := url.Parse(p.AuthorizationURL("st", nonce, verifier, callback))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"tenant": {"a&b"}, "client_id": {heartlocktest.OpenIDClient}, "state": {"st"}, "nonce": {nonce}, "redirect_uri": {callback},
		"response_type": {"code"}, "scope": {"openid email"}, "code_challenge_method": {"S256"},
	}
	got := u.Query()
	if len(got.Get("code_challenge")) != 43 || strings.Contains(u.String(), verifier) || strings.Count(u.String(), "?") != 1 {
		t.Errorf("got %s", u)
	}
	want["code_challenge"] = got["code_challenge"]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := p.LogoutURL("https://heartlock.example.com"); got != f.URL+"/end?client_id=heartlock&post_logout_redirect_uri=https%3A%2F%2Fheartlock.example.com&tenant=a" {
		t.Errorf("logout leads to %s", got)
	}
}

func TestRedirectURI(t *testing.T) {
	t.Parallel()
	f := heartlocktest.StartOpenIDFake(t, ann)
	c := configOf(f)
	c.CallbackPath = "/oidc/callback/"
	if got, err := newProvider(t, c).RedirectURI("https://other.example.com"); err != nil || got != callback {
		t.Errorf("the configured one: %s, %v", got, err)
	}
	c.RedirectURI = ""
	if got, err := newProvider(t, c).RedirectURI("https://other.example.com"); err != nil || got != "https://other.example.com/oidc/callback/" {
		t.Errorf("at the request's host: %s, %v", got, err)
	}
	if _, err := newProvider(t, c).RedirectURI(""); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "HEARTLOCK_APP_URL") {
		t.Errorf("nowhere: %v", err)
	}
}

func TestAnswersOfAnotherIssuerAreTold(t *testing.T) {
	t.Parallel()
	f := heartlocktest.StartOpenIDFake(t, ann)
	c := configOf(f)
	if !newProvider(t, c).IssuedBy("https://other.example.com") {
		t.Error("without an issuer there is nothing to compare")
	}
	c.Issuer = f.URL
	p := newProvider(t, c)
	if !p.IssuedBy("") || !p.IssuedBy(f.URL) || p.IssuedBy("https://other.example.com") || p.IssuedBy(f.URL+"/") {
		t.Error("issuers are told apart by every letter")
	}
}
