package client

import (
	"net/http"
	"testing"
)

func TestReadSSO(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/v1/admin/oidc/" {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		answerJSON(w, http.StatusOK, `{"enabled":true,"client_id":"heartlock","client_secret_set":true,"generation":3,"sources":{"client_id":"OIDC_CLIENT_ID"},"newer":1}`)
	})
	got, err := c.ReadSSO(t.Context())
	if err != nil || !got.Enabled || got.ClientID != "heartlock" || !got.ClientSecretSet || got.Generation != 3 || got.Sources["client_id"] != "OIDC_CLIENT_ID" {
		t.Errorf("%+v, %v", got, err)
	}
}
