package client

import (
	"context"
	"net/http"

	"github.com/heartlock/heartlock/pkg/api"
)

// RequestPasswordReset asks for a link to choose a new password, by mail. It needs
// no token, and does not tell whether there is an account with the address.
func (c *Client) RequestPasswordReset(ctx context.Context, email string) error {
	_, err := c.send(ctx, request{method: http.MethodPost, path: []string{"auth", "password-reset"}, body: api.PasswordResetRequest{Email: email}})
	return err
}

// ConfirmPasswordReset chooses a new password by the token of such a link. It
// needs no token of the API; a link that does not serve is fault.Gone.
func (c *Client) ConfirmPasswordReset(ctx context.Context, in api.PasswordResetConfirm) error {
	_, err := c.send(ctx, request{method: http.MethodPost, path: []string{"auth", "password-reset", "confirm"}, body: in})
	return err
}
