//go:build unix

package heartlocktest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"
)

// OpenIDFake is a provider that does what a test wants, also what no provider
// should. Its fields may be changed before a sign-in begins; it signs everyone in at
// once. Unless told otherwise it checks PKCE and the client, and behaves.
type OpenIDFake struct {
	URL string
	// Userinfo are the claims of the nth sign-in, from 1.
	Userinfo func(n int) map[string]any
	// IDToken makes the ID token of a sign-in with this nonce; nil: there is none.
	IDToken func(nonce string) string
	// Handlers stand in the place of those of a path.
	Handlers map[string]http.HandlerFunc

	Key *rsa.PrivateKey // signs ID tokens; its public part is at /keys

	mu      sync.Mutex
	signIns []url.Values // what each sign-in asked for
	hits    map[string]int
}

// StartOpenIDFake starts a fake provider. It ends with the test.
func StartOpenIDFake(tb testing.TB, userinfo func(n int) map[string]any) *OpenIDFake {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	f := &OpenIDFake{Userinfo: userinfo, Key: key, Handlers: map[string]http.HandlerFunc{}, hits: map[string]int{}}
	server := httptest.NewServer(f)
	tb.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// Environ is as OpenIDProvider.Environ.
func (f *OpenIDFake) Environ(withIssuer bool) []string {
	p := OpenIDProvider{Issuer: f.URL, secret: OpenIDSecret}
	return p.Environ(withIssuer)
}

// Hits says how often a path was asked for.
func (f *OpenIDFake) Hits(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits[path]
}

// ServeHTTP implements http.Handler.
func (f *OpenIDFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.hits[r.URL.Path]++
	f.mu.Unlock()
	if handler := f.Handlers[r.URL.Path]; handler != nil {
		handler(w, r)
		return
	}
	switch r.URL.Path {
	case "/auth":
		f.authorize(w, r)
	case "/oauth/token":
		f.token(w, r)
	case "/userinfo":
		f.userinfo(w, r)
	case "/.well-known/openid-configuration":
		answerJSON(w, 200, map[string]any{
			"issuer": f.URL, "authorization_endpoint": f.URL + "/auth", "token_endpoint": f.URL + "/oauth/token",
			"jwks_uri": f.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	case "/keys":
		answerJSON(w, 200, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1",
			"n": encode(f.Key.N.Bytes()), "e": encode(big.NewInt(int64(f.Key.E)).Bytes()),
		}}})
	default:
		http.NotFound(w, r)
	}
}

// authorize sends the browser straight back, with the number of the sign-in as its
// code.
func (f *OpenIDFake) authorize(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	f.mu.Lock()
	f.signIns = append(f.signIns, query)
	n := len(f.signIns)
	f.mu.Unlock()
	back, _ := url.Parse(query.Get("redirect_uri"))
	back.RawQuery = url.Values{"code": {strconv.Itoa(n)}, "state": {query.Get("state")}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (f *OpenIDFake) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id != OpenIDClient || secret != OpenIDSecret {
		answerJSON(w, 401, map[string]any{"error": "invalid_client", "error_description": "provider text canary"})
		return
	}
	f.mu.Lock()
	n, err := strconv.Atoi(r.PostFormValue("code"))
	var asked url.Values
	if err == nil && n >= 1 && n <= len(f.signIns) {
		asked = f.signIns[n-1]
	}
	f.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if asked == nil || asked.Get("code_challenge") != encode(challenge[:]) || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") {
		answerJSON(w, 400, map[string]any{"error": "invalid_grant", "error_description": "provider text canary"})
		return
	}
	answer := map[string]any{"access_token": "access-" + strconv.Itoa(n), "token_type": "Bearer", "expires_in": 60}
	if f.IDToken != nil {
		answer["id_token"] = f.IDToken(asked.Get("nonce"))
	}
	answerJSON(w, 200, answer)
}

func (f *OpenIDFake) userinfo(w http.ResponseWriter, r *http.Request) {
	const scheme = "Bearer access-"
	header := r.Header.Get("Authorization")
	if len(header) <= len(scheme) || header[:len(scheme)] != scheme {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	n, _ := strconv.Atoi(header[len(scheme):])
	answerJSON(w, 200, f.Userinfo(n))
}

// Sign makes a JWT (RFC 7519) with the fake's key, or with another one.
func (f *OpenIDFake) Sign(key *rsa.PrivateKey, claims map[string]any) string {
	head, _ := json.Marshal(map[string]any{"alg": "RS256", "kid": "1", "typ": "JWT"})
	body, _ := json.Marshal(claims)
	text := encode(head) + "." + encode(body)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // the key is good
	}
	return text + "." + encode(signature)
}

// Unsigned makes a JWT with "alg": "none".
func (f *OpenIDFake) Unsigned(claims map[string]any) string {
	body, _ := json.Marshal(claims)
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(body) + "."
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func answerJSON(w http.ResponseWriter, status int, body any) {
	text, _ := json.Marshal(body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
