package server

import (
	"strings"
	"testing"
)

func TestPathsAreLoggedWithoutSecrets(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("aZ09", 11)[:43]
	for path, want := range map[string]string{
		"/api/v1/projects/shop/":                                   "/api/v1/projects/shop/",
		"/api/v1/invitations/" + token + "/accept/":                "/api/v1/invitations/[left out]/accept/",
		"/invitations/" + token:                                    "/invitations/[left out]",
		"/invitations/" + token[:40] + "/":                         "/invitations/[left out]/",
		"/password-reset/" + token + "x/":                          "/password-reset/[left out]/",
		"/password-reset/" + token + "./":                          "/password-reset/[left out]/",
		"/invitations/<" + token + ">":                             "/invitations/[left out]",
		"/password-reset/" + token[:33] + "%":                      "/password-reset/[left out]",
		"/api/v1/projects/01920f3e-7a52-7c4e-8a31-5d3a0f3b9c11/":   "/api/v1/projects/01920f3e-7a52-7c4e-8a31-5d3a0f3b9c11/",
		"/api/v1/projects/shop/environments/a/secrets/SOME_KEY_1/": "/api/v1/projects/shop/environments/a/secrets/SOME_KEY_1/",
		"/api/v1/projects/shop/environments/production/secrets/A_LONG_NAME_OF_A_SECRET_THAT_IS_NO_TOKEN/": "/api/v1/projects/shop/environments/production/secrets/A_LONG_NAME_OF_A_SECRET_THAT_IS_NO_TOKEN/",
	} {
		if got := loggedPath(path); got != want {
			t.Errorf("%s is logged as %s, want %s", path, got, want)
		}
	}
}
