package client

import (
	"context"
	"net/http"

	"github.com/heartlock/heartlock/pkg/api"
)

// MailStatus tells an administrator where the mail of the server goes, what waits
// and what has failed.
func (c *Client) MailStatus(ctx context.Context) (api.MailStatus, error) {
	status, _, err := call[api.MailStatus](ctx, c, request{method: http.MethodGet, path: []string{"admin", "mail"}})
	return status, err
}

// TestMail has the server send a mail at once. That it could not be sent is an
// answer and no error.
func (c *Client) TestMail(ctx context.Context, t api.TestMail) (api.MailTest, error) {
	result, _, err := call[api.MailTest](ctx, c, request{method: http.MethodPost, path: []string{"admin", "mail", "test"}, body: t})
	return result, err
}
