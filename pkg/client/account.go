package client

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// Health asks whether the server is alive. It needs no token.
func (c *Client) Health(ctx context.Context) (api.Health, error) {
	health, _, err := call[api.Health](ctx, c, request{method: http.MethodGet, path: []string{"health"}})
	return health, err
}

// Ready asks whether the server can do its work. It needs no token. When it can
// not, the error is a [fault.Unavailable] with the server's reason, and the
// answer is returned beside it as far as there was one.
func (c *Client) Ready(ctx context.Context) (api.Readiness, error) {
	ready, _, err := call[api.Readiness](ctx, c, request{method: http.MethodGet, path: []string{"ready"}})
	var refused *ResponseError
	if errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable && !refused.Explained {
		if api.DecodeResponse(refused.body, &ready) == nil && ready.Reason != "" {
			refused.Explained = true
			return ready, fault.Wrap(fault.Unavailable, refused, ready.Reason)
		}
	}
	return ready, err
}

// Me asks who the token belongs to: a person or a service token.
func (c *Client) Me(ctx context.Context) (api.Me, error) {
	me, _, err := call[api.Me](ctx, c, request{method: http.MethodGet, path: []string{"auth", "me"}})
	return me, err
}

// PersonalTokens lists the caller's own tokens.
func (c *Client) PersonalTokens(ctx context.Context) iter.Seq2[api.PersonalToken, error] {
	return pages[api.PersonalToken](ctx, c, nil, "auth", "tokens")
}

// CreatePersonalToken makes a token that acts for the caller. The token itself
// is in this one answer only.
func (c *Client) CreatePersonalToken(ctx context.Context, t api.CreatePersonalToken, options ...RequestOption) (api.PersonalToken, error) {
	token, _, err := call[api.PersonalToken](ctx, c,
		request{method: http.MethodPost, path: []string{"auth", "tokens"}, body: t}, options...)
	if err == nil && (token.Token == nil || token.Token.Len() == 0) {
		return token, c.strange(nil, "Its answer holds no token.")
	}
	return token, err
}

// RevokePersonalToken ends one of the caller's own tokens at once.
func (c *Client) RevokePersonalToken(ctx context.Context, id string) error {
	_, err := c.send(ctx, request{method: http.MethodDelete, path: []string{"auth", "tokens", id}})
	return err
}
