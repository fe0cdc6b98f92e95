package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// Invitations lists the invitations of a project that were neither accepted nor
// revoked.
func (c *Client) Invitations(ctx context.Context, project string) iter.Seq2[api.Invitation, error] {
	return pages[api.Invitation](ctx, c, nil, "projects", project, "invitations")
}

// CreateInvitation invites someone to a project. The link is in this one answer
// only, and in the mail.
func (c *Client) CreateInvitation(ctx context.Context, project string, i api.CreateInvitation, options ...RequestOption) (api.Invitation, error) {
	return c.invite(ctx, request{method: http.MethodPost, path: []string{"projects", project, "invitations"}, body: i}, options...)
}

// ResendInvitation sends an invitation again, with a new link and a new expiry.
// The former link is worthless; the new one is in this one answer only.
func (c *Client) ResendInvitation(ctx context.Context, project, id string, options ...RequestOption) (api.Invitation, error) {
	return c.invite(ctx, request{method: http.MethodPost, path: []string{"projects", project, "invitations", id, "resend"}}, options...)
}

func (c *Client) invite(ctx context.Context, r request, options ...RequestOption) (api.Invitation, error) {
	invitation, _, err := call[api.Invitation](ctx, c, r, options...)
	if err == nil && (invitation.Link == nil || invitation.Link.Len() == 0) {
		return invitation, c.strange(nil, "Its answer holds no link.")
	}
	return invitation, err
}

// RevokeInvitation makes the link of an invitation worthless.
func (c *Client) RevokeInvitation(ctx context.Context, project, id string) error {
	_, err := c.send(ctx, request{method: http.MethodDelete, path: []string{"projects", project, "invitations", id}})
	return err
}

// OpenInvitation tells what a link invites to; token is the last part of the
// link's path. It needs no credential and changes nothing.
func (c *Client) OpenInvitation(ctx context.Context, token string) (api.OpenedInvitation, error) {
	opened, _, err := call[api.OpenedInvitation](ctx, c, request{method: http.MethodGet, path: []string{"invitations", token}})
	return opened, err
}

// AcceptInvitation creates the account that a link invites, and makes it a
// member. It is for a client without a token: with one it is
// [fault.Forbidden]. Over plain http to another machine nothing is sent, unless
// that is allowed. The session that the server begins is for browsers and is
// not used.
func (c *Client) AcceptInvitation(ctx context.Context, token string, a api.AcceptInvitation) (api.AcceptedInvitation, error) {
	if c.exposed {
		return api.AcceptedInvitation{}, fault.Newf(fault.Usage,
			"The password was not sent: %s is plain http, where everybody on the way can read it. Use https, or allow it with --insecure-http (InsecureHTTP).", c.origin)
	}
	accepted, _, err := call[api.AcceptedInvitation](ctx, c, request{method: http.MethodPost, path: []string{"invitations", token, "accept"}, body: a})
	return accepted, err
}
