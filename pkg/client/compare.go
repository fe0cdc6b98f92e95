package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/heartlock/heartlock/pkg/api"
)

// Matrix tells which key of a project has the same value in which of the
// environments that the caller can see, without the values. It is written to the
// audit trail.
func (c *Client) Matrix(ctx context.Context, project string) (api.Matrix, error) {
	matrix, _, err := call[api.Matrix](ctx, c, request{method: http.MethodGet, path: []string{"projects", project, "matrix"}})
	if err != nil {
		return api.Matrix{}, err
	}
	for _, row := range matrix.Rows {
		if len(row.Cells) != len(matrix.Environments) {
			return api.Matrix{}, c.strange(nil, "A row of its answer does not have a cell for each environment.")
		}
	}
	return matrix, nil
}

// CompareEnvironments tells how the secrets of e differ from those of another
// environment of its project. With values it adds those of the secrets that are in
// one environment alone or differ; every value that is read is written to the audit
// trail.
func (c *Client) CompareEnvironments(ctx context.Context, e Environment, other string, values bool) (api.Comparison, error) {
	r := request{method: http.MethodGet, path: e.path("compare", other)}
	if values {
		r.query = url.Values{"values": {"true"}}
	}
	comparison, _, err := call[api.Comparison](ctx, c, r)
	return comparison, err
}

// Promote copies secrets from another environment of the project to e, all or none.
func (c *Client) Promote(ctx context.Context, e Environment, r api.PromoteRequest, options ...RequestOption) (api.PromoteResult, error) {
	result, _, err := call[api.PromoteResult](ctx, c, request{method: http.MethodPost, path: e.path("promote"), body: r}, options...)
	return result, err
}

// ExportSecrets is the secrets of an environment as text of one of
// [api.ExportFormats]. It is written to the audit trail.
func (c *Client) ExportSecrets(ctx context.Context, e Environment, format string) (api.Value, error) {
	a, err := c.send(ctx, request{method: http.MethodGet, path: e.path("export"), query: url.Values{"format": {format}}})
	if err != nil {
		return api.Value{}, err
	}
	if a.header.Get("Content-Disposition") == "" { // what stands in between may answer with a page of its own
		return api.Value{}, c.strange(nil, "Its answer is not the file that was asked for.")
	}
	return api.NewValue(string(a.body)), nil
}

// ImportText takes the secrets of a text of one of [api.ImportFormats], all or
// none.
func (c *Client) ImportText(ctx context.Context, e Environment, format string, r api.ImportRequest, options ...RequestOption) (api.ImportResult, error) {
	result, _, err := call[api.ImportResult](ctx, c,
		request{method: http.MethodPost, path: e.path("import"), query: url.Values{"format": {format}}, body: r}, options...)
	return result, err
}
