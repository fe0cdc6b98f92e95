package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// idp answers as far as a test of the settings goes.
func idp(t *testing.T) (url string, secrets *atomic.Int64) {
	t.Helper()
	secrets = new(atomic.Int64)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		refusal := "invalid_client"
		if _, secret, _ := r.BasicAuth(); secret == clientSecret {
			secrets.Add(1)
			refusal = "invalid_grant"
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"` + refusal + `"}`))
	})
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL, secrets
}

// outcome is which steps of a test worked.
func outcome(t *testing.T, a heartlocktest.Answer) map[string]bool {
	t.Helper()
	var result api.SSOTest
	a.Want(200).Decode(&result)
	steps, all := map[string]bool{}, true
	for _, step := range result.Steps {
		steps[step.Part] = step.OK
		all = all && step.OK
		if step.Message == "" {
			t.Errorf("%s says nothing", step.Part)
		}
	}
	if result.OK != all {
		t.Errorf("ok is %v: %+v", result.OK, result.Steps)
	}
	return steps
}

func TestTryingSSOOut(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		url, secrets := idp(t)
		body := map[string]any{
			"client_id": "heartlock", "client_secret": clientSecret, "redirect_uri": "https://secrets.example.com/oidc/callback/",
			"authorization_endpoint": url + "/auth", "token_endpoint": url + "/token", "userinfo_endpoint": url + "/me",
		}
		try := func(changes map[string]any) map[string]bool {
			t.Helper()
			asked := map[string]any{}
			for name, value := range body {
				asked[name] = value
			}
			for name, value := range changes {
				asked[name] = value
			}
			return outcome(t, owner.Call("POST", "/admin/oidc/test/", asked))
		}
		if diff := cmp.Diff(map[string]bool{"settings": false}, outcome(t, owner.Call("POST", "/admin/oidc/test/", map[string]any{}))); diff != "" {
			t.Error("with nothing set: " + diff)
		}
		good := map[string]bool{"authorization endpoint": true, "token endpoint": true, "userinfo endpoint": true}
		if diff := cmp.Diff(good, try(nil)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]bool{"authorization endpoint": true, "token endpoint": false, "userinfo endpoint": true}, try(map[string]any{"client_secret": "wrong"})); diff != "" {
			t.Error(diff)
		}
		for _, address := range []string{"http://169.254.169.254/me", "http://[fe80::1]/me", "http://0.0.0.0/me", url + "/nowhere"} {
			if try(map[string]any{"userinfo_endpoint": address})["userinfo endpoint"] {
				t.Errorf("%s works", address)
			}
		}
		if got := readSSO(owner); got.Generation != 0 || got.ClientID != "" {
			t.Error("a test has changed the settings")
		}

		// Once saved, the body may be empty; the secret goes nowhere else.
		owner.Call("PUT", "/admin/oidc/", body).Want(200)
		if diff := cmp.Diff(good, outcome(t, owner.Call("POST", "/admin/oidc/test/", map[string]any{}))); diff != "" {
			t.Error(diff)
		}
		other, stolen := idp(t)
		owner.Call("POST", "/admin/oidc/test/", map[string]any{"token_endpoint": other + "/token"}).WantProblem(400)
		if stolen.Load() != 0 || secrets.Load() == 0 {
			t.Error("the secret was sent to an endpoint that it is not for, or never to its own")
		}
		dump := s.Dump()
		if !strings.Contains(dump, `"worked":"true"`) || !strings.Contains(dump, `"failed":"userinfo endpoint"`) || strings.Contains(dump, clientSecret) {
			t.Error("the audit trail does not say what was tried, or too much")
		}
		owner.Call("POST", "/admin/oidc/test/", map[string]any{}).Want(200)
		if problem := owner.Call("POST", "/admin/oidc/test/", map[string]any{}); problem.Status != 429 || problem.Header.Get("Retry-After") == "" {
			t.Errorf("after ten tests within a minute: %d", problem.Status)
		}
	})
}

// The secret of the environment goes to the endpoint of the environment and to no
// other, however the two are brought together: also not by saving another secret
// first and removing that again.
func TestTheSecretOfTheEnvironmentGoesNowhereElse(t *testing.T) {
	t.Parallel()
	own, secrets := idp(t)
	other, stolen := idp(t)
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{Environ: []string{
		"OIDC_RP_CLIENT_ID=heartlock", "OIDC_CLIENT_SECRET=" + clientSecret, "OIDC_TOKEN_ENDPOINT=" + own + "/token",
		"OIDC_AUTHORIZATION_ENDPOINT=" + own + "/auth", "OIDC_USERINFO_ENDPOINT=" + own + "/me", "HEARTLOCK_APP_URL=http://localhost:8082",
	}})
	owner := s.Onboard()
	none := map[string]any{}
	if !outcome(t, owner.Call("POST", "/admin/oidc/test/", none))["token endpoint"] || secrets.Load() == 0 {
		t.Fatal("the secret does not reach its own endpoint")
	}
	owner.Call("PUT", "/admin/oidc/", map[string]any{"token_endpoint": other + "/token", "client_secret": "of the attacker"}).Want(200)
	removed := map[string]any{"client_secret": nil}
	owner.Call("POST", "/admin/oidc/test/", removed).WantProblem(400)
	owner.Call("PUT", "/admin/oidc/", removed).WantProblem(400)
	owner.Call("POST", "/admin/oidc/test/", none).Want(200)
	if n := stolen.Load(); n > 0 {
		t.Errorf("the secret was sent %d times to an endpoint that it is not for", n)
	}
	owner.Call("PUT", "/admin/oidc/", map[string]any{"token_endpoint": nil}).WantProblem(400)
	owner.Call("PUT", "/admin/oidc/", map[string]any{"token_endpoint": nil, "client_secret": nil}).Want(200)
	before := secrets.Load()
	if !outcome(t, owner.Call("POST", "/admin/oidc/test/", none))["token endpoint"] || secrets.Load() == before {
		t.Error("the settings of the environment did not come back")
	}
}
