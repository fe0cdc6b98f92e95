package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
)

// UserFilter narrows a list of accounts; zero fields do not narrow.
type UserFilter struct {
	Text      string // part of the address or of the name
	Active    *bool
	Superuser *bool
}

func (f UserFilter) query() url.Values {
	query := largestPages()
	if f.Text != "" {
		query.Set("q", f.Text)
	}
	for name, value := range map[string]*bool{"active": f.Active, "superuser": f.Superuser} {
		if value != nil {
			query.Set(name, strconv.FormatBool(*value))
		}
	}
	return query
}

// Users lists the accounts of the server by address. For administrators, as
// everything in this file; what changes something is refused to tokens.
func (c *Client) Users(ctx context.Context, f UserFilter) iter.Seq2[api.User, error] {
	return pages[api.User](ctx, c, f.query(), "admin", "users")
}

// User returns one account and its memberships.
func (c *Client) User(ctx context.Context, id string) (api.UserDetail, error) {
	user, _, err := call[api.UserDetail](ctx, c, request{method: http.MethodGet, path: []string{"admin", "users", id}})
	return user, err
}

// CreateUser makes an account. Without a password the person chooses one by a
// link: see ResetUserPassword.
func (c *Client) CreateUser(ctx context.Context, u api.CreateUser, options ...RequestOption) (api.CreatedUser, error) {
	user, _, err := call[api.CreatedUser](ctx, c, request{method: http.MethodPost, path: []string{"admin", "users"}, body: u}, options...)
	return user, err
}

// UpdateUser changes an account's names, switches it on or off, or makes it an
// administrator or takes that away.
func (c *Client) UpdateUser(ctx context.Context, id string, u api.UpdateUser) (api.User, error) {
	user, _, err := call[api.User](ctx, c, request{method: http.MethodPatch, path: []string{"admin", "users", id}, body: u})
	return user, err
}

// ResetUserPassword makes a link by which the person chooses a new password. It is
// mailed; only a server that can not send mail shows it, in this one answer.
func (c *Client) ResetUserPassword(ctx context.Context, id string, options ...RequestOption) (api.PasswordLink, error) {
	link, _, err := call[api.PasswordLink](ctx, c,
		request{method: http.MethodPost, path: []string{"admin", "users", id, "reset-password"}}, options...)
	return link, err
}

// EndUserSessions ends all sessions of an account and says how many there were.
func (c *Client) EndUserSessions(ctx context.Context, id string) (int, error) {
	ended, _, err := call[api.EndedSessions](ctx, c, request{method: http.MethodPost, path: []string{"admin", "users", id, "end-sessions"}})
	return ended.Sessions, err
}

// RemoveSecondFactor removes the second factor of a person who has lost it.
func (c *Client) RemoveSecondFactor(ctx context.Context, id string) error {
	_, err := c.send(ctx, request{method: http.MethodDelete, path: []string{"admin", "users", id, "second-factor"}})
	return err
}

// AllProjects lists the projects of the server with their owners.
func (c *Client) AllProjects(ctx context.Context) iter.Seq2[api.AdminProject, error] {
	return pages[api.AdminProject](ctx, c, largestPages(), "admin", "projects")
}

// JoinProject makes the calling administrator a member of a project.
func (c *Client) JoinProject(ctx context.Context, project string, role api.Role) (api.Project, error) {
	joined, _, err := call[api.Project](ctx, c,
		request{method: http.MethodPost, path: []string{"admin", "projects", project, "join"}, body: api.JoinProject{Role: role}})
	return joined, err
}

// ServerStatus describes the installation: database, keys, running servers,
// backups.
func (c *Client) ServerStatus(ctx context.Context) (api.ServerStatus, error) {
	status, _, err := call[api.ServerStatus](ctx, c, request{method: http.MethodGet, path: []string{"admin", "status"}})
	return status, err
}
