package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
)

// Projects lists the projects that the caller is a member of. A project may be
// named by its slug or its id in all calls.
func (c *Client) Projects(ctx context.Context) iter.Seq2[api.Project, error] {
	return pages[api.Project](ctx, c, largestPages(), "projects")
}

// CreateProject makes a project with its first environments; the caller becomes
// its owner.
func (c *Client) CreateProject(ctx context.Context, p api.CreateProject, options ...RequestOption) (api.Project, error) {
	project, _, err := call[api.Project](ctx, c, request{method: http.MethodPost, path: []string{"projects"}, body: p}, options...)
	return project, err
}

// Project returns one project.
func (c *Client) Project(ctx context.Context, project string) (api.Project, error) {
	p, _, err := call[api.Project](ctx, c, request{method: http.MethodGet, path: []string{"projects", project}})
	return p, err
}

// UpdateProject changes a project's name, slug or description.
func (c *Client) UpdateProject(ctx context.Context, project string, u api.UpdateProject) (api.Project, error) {
	p, _, err := call[api.Project](ctx, c, request{method: http.MethodPatch, path: []string{"projects", project}, body: u})
	return p, err
}

// DeleteProject removes a project with all its environments, secrets and tokens.
func (c *Client) DeleteProject(ctx context.Context, project string) error {
	_, err := c.send(ctx, request{method: http.MethodDelete, path: []string{"projects", project}})
	return err
}

// Environment names an environment of a project, each by its slug or its id.
type Environment struct {
	Project string
	Slug    string
}

// String is "project/environment", as messages show it.
func (e Environment) String() string { return e.Project + "/" + e.Slug }

func (e Environment) path(below ...string) []string {
	return append([]string{"projects", e.Project, "environments", e.Slug}, below...)
}

// Environments lists a project's environments in their order.
func (c *Client) Environments(ctx context.Context, project string) iter.Seq2[api.Environment, error] {
	return pages[api.Environment](ctx, c, nil, "projects", project, "environments")
}

// CreateEnvironment makes an environment after the existing ones.
func (c *Client) CreateEnvironment(ctx context.Context, project string, e api.CreateEnvironment, options ...RequestOption) (api.Environment, error) {
	environment, _, err := call[api.Environment](ctx, c,
		request{method: http.MethodPost, path: []string{"projects", project, "environments"}, body: e}, options...)
	return environment, err
}

// Environment returns one environment.
func (c *Client) Environment(ctx context.Context, e Environment) (api.Environment, error) {
	environment, _, err := call[api.Environment](ctx, c, request{method: http.MethodGet, path: e.path()})
	return environment, err
}

// UpdateEnvironment changes an environment's name, slug, place or protection.
func (c *Client) UpdateEnvironment(ctx context.Context, e Environment, u api.UpdateEnvironment) (api.Environment, error) {
	environment, _, err := call[api.Environment](ctx, c, request{method: http.MethodPatch, path: e.path(), body: u})
	return environment, err
}

// DeleteEnvironment removes an environment with all its secrets.
func (c *Client) DeleteEnvironment(ctx context.Context, e Environment) error {
	_, err := c.send(ctx, request{method: http.MethodDelete, path: e.path()})
	return err
}

// ServiceTokens lists a project's service tokens.
func (c *Client) ServiceTokens(ctx context.Context, project string) iter.Seq2[api.ServiceToken, error] {
	return pages[api.ServiceToken](ctx, c, nil, "projects", project, "tokens")
}

// CreateServiceToken makes a token for a machine. The token itself is in this
// one answer only.
func (c *Client) CreateServiceToken(ctx context.Context, project string, t api.CreateServiceToken, options ...RequestOption) (api.ServiceToken, error) {
	token, _, err := call[api.ServiceToken](ctx, c,
		request{method: http.MethodPost, path: []string{"projects", project, "tokens"}, body: t}, options...)
	if err == nil && (token.Token == nil || token.Token.Len() == 0) {
		return token, c.strange(nil, "Its answer holds no token.")
	}
	return token, err
}

// RevokeServiceToken ends a service token at once.
func (c *Client) RevokeServiceToken(ctx context.Context, project, id string) error {
	_, err := c.send(ctx, request{method: http.MethodDelete, path: []string{"projects", project, "tokens", id}})
	return err
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
