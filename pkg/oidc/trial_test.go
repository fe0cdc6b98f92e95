package oidc_test

import (
	"net/http"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

func TestTrial(t *testing.T) {
	t.Parallel()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	tests := map[string]struct {
		path   string
		status int
		broken int // which finding; -1: none
	}{
		"good":                   {"/other", 200, -1},
		"no authorization page":  {"/auth", 404, 0},
		"authorization refuses":  {"/auth", 400, 0},
		"token fails":            {"/oauth/token", 500, 1},
		"token is a page":        {"/oauth/token", 200, 1},
		"userinfo is open":       {"/userinfo", 200, 2},
		"userinfo is not there":  {"/userinfo", 404, 2},
		"no logout page":         {"/end_session", 404, 3},
		"no discovery document":  {"/.well-known/openid-configuration", 404, 4},
		"discovery is elsewhere": {"/.well-known/openid-configuration", 302, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := heartlocktest.StartOpenIDFake(t, ann)
			f.Handlers["/end_session"] = status(200)
			f.Handlers[test.path] = status(test.status)
			c := configOf(f)
			c.Issuer, c.EndSessionEndpoint = f.URL, f.URL+"/end_session"
			for i, finding := range newProvider(t, c).Test(t.Context(), callback) {
				if finding.OK == (i == test.broken) {
					t.Errorf("%s: %v %q", finding.Part, finding.OK, finding.Message)
				}
			}
		})
	}
}
