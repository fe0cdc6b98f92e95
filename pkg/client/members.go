package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/heartlock/heartlock/pkg/api"
)

// Members lists the members of a project by their addresses.
func (c *Client) Members(ctx context.Context, project string) iter.Seq2[api.Member, error] {
	return pages[api.Member](ctx, c, largestPages(), "projects", project, "members")
}

// UpdateMember changes what a member may do. The user is named by his id.
func (c *Client) UpdateMember(ctx context.Context, project, user string, u api.UpdateMember) (api.Member, error) {
	m, _, err := call[api.Member](ctx, c, request{method: http.MethodPatch, path: []string{"projects", project, "members", user}, body: u})
	return m, err
}

// RemoveMember ends a membership; with the caller's own id he leaves. The service
// tokens of the project that the person has made are revoked unless keepTokens,
// which takes an admin or owner.
func (c *Client) RemoveMember(ctx context.Context, project, user string, keepTokens bool) error {
	r := request{method: http.MethodDelete, path: []string{"projects", project, "members", user}}
	if keepTokens {
		r.query = url.Values{"keep_tokens": {"true"}}
	}
	_, err := c.send(ctx, r)
	return err
}
