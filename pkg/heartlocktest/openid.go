//go:build unix

package heartlocktest

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// The client that Heartlock is at the provider, and where it lives there: a host
// that a Robot finds the test's servers behind.
const (
	OpenIDClient = "heartlock"
	OpenIDSecret = "provider-client-secret-canary"
	OpenIDHost   = "heartlock.example.com"
)

// OpenIDUser is an account at the provider. Its password is Password.
type OpenIDUser struct {
	Subject       string `json:"sub"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	FirstName     string `json:"first_name"`
	LastName      string `json:"last_name"`
}

// OpenIDProvider is a running provider: the program in the directory provider.
type OpenIDProvider struct {
	Issuer string
	secret string
}

// StartOpenIDProvider builds and starts a provider that knows these users. With
// public the client has no secret. It ends with the test.
func StartOpenIDProvider(tb testing.TB, public bool, users ...OpenIDUser) *OpenIDProvider {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	binary := filepath.Join(tb.TempDir(), "provider")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = filepath.Join(filepath.Dir(here), "provider")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("the OpenID provider in pkg/heartlocktest/provider can not be built (its modules come from the Go proxy): %v\n%s", err, out)
	}
	p := &OpenIDProvider{secret: OpenIDSecret}
	if public {
		p.secret = ""
	}
	for i := range users {
		users[i].Password = Password
	}
	settings, err := json.Marshal(map[string]any{
		"client_id": OpenIDClient, "client_secret": p.secret, "users": users,
		"redirect_uris": []string{"http://" + OpenIDHost + "/oidc/callback/"}, "logout_uris": []string{"http://" + OpenIDHost},
	})
	if err != nil {
		tb.Fatal(err)
	}
	p.start(tb, binary, string(settings))
	return p
}

func (p *OpenIDProvider) start(tb testing.TB, binary, settings string) {
	tb.Helper()
	program := exec.Command(binary)
	in, err := program.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := program.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := program.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close() // it ends with its input
		_ = program.Wait()
	})
	if _, err := io.WriteString(in, settings+"\n"); err != nil {
		tb.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("the OpenID provider did not start: %v", err)
	}
	p.Issuer = strings.TrimSpace(line)
}

// Environ is the environment of a development server that uses the provider and is
// reached at OpenIDHost; withIssuer has it verify ID tokens.
func (p *OpenIDProvider) Environ(withIssuer bool) []string {
	environ := []string{
		"ALLOWED_HOSTS=127.0.0.1," + OpenIDHost, "HEARTLOCK_APP_URL=http://" + OpenIDHost,
		"SECRET_KEY=the-same-on-all-servers-of-a-test-4f1d", "OIDC_CLIENT_ID=" + OpenIDClient, "OIDC_CLIENT_SECRET=" + p.secret,
		"OIDC_AUTHORIZATION_ENDPOINT=" + p.Issuer + "/auth", "OIDC_TOKEN_ENDPOINT=" + p.Issuer + "/oauth/token",
		"OIDC_USERINFO_ENDPOINT=" + p.Issuer + "/userinfo", "OIDC_END_SESSION_ENDPOINT=" + p.Issuer + "/end_session",
	}
	if withIssuer {
		environ = append(environ, "OIDC_ISSUER="+p.Issuer)
	}
	return environ
}
