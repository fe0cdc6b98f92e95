package client

import (
	"context"
	"net/http"

	"github.com/heartlock/heartlock/pkg/api"
)

// ReadSSO reads the settings of single sign-on that are in force on the server,
// and where each comes from; never the client secret. The caller must be an
// administrator of the server. Changing them needs a person who is signed in, not
// a token, and so is not for this client.
func (c *Client) ReadSSO(ctx context.Context) (api.SSOSettings, error) {
	settings, _, err := call[api.SSOSettings](ctx, c, request{method: http.MethodGet, path: []string{"admin", "oidc"}})
	return settings, err
}
