package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
)

// SecretVersion reads one version of a secret, also of a deleted one; its Value
// is never nil. The read is written to the audit trail.
func (c *Client) SecretVersion(ctx context.Context, e Environment, key string, version int64) (api.Secret, error) {
	if err := checkKey(key); err != nil {
		return api.Secret{}, err
	}
	r := request{method: http.MethodGet, path: e.path("secrets", key), query: url.Values{"version": {strconv.FormatInt(version, 10)}}}
	secret, _, err := call[api.Secret](ctx, c, r)
	if err == nil && (secret.Value == nil || secret.Version != version) {
		return api.Secret{}, c.strange(nil, "Its answer is not the version that was asked for.")
	}
	return secret, err
}

// SecretVersions lists the versions of a secret that are kept, the newest first.
func (c *Client) SecretVersions(ctx context.Context, e Environment, key string) iter.Seq2[api.SecretVersion, error] {
	if err := checkKey(key); err != nil {
		return func(yield func(api.SecretVersion, error) bool) { yield(api.SecretVersion{}, err) }
	}
	return pages[api.SecretVersion](ctx, c, largestPages(), e.path("secrets", key, "versions")...)
}

// RollBackSecret gives a secret the value and the comment of a former version, as
// a new version.
func (c *Client) RollBackSecret(ctx context.Context, e Environment, key string, version int64, options ...RequestOption) (api.Secret, error) {
	if err := checkKey(key); err != nil {
		return api.Secret{}, err
	}
	r := request{method: http.MethodPost, path: e.path("secrets", key, "rollback"), body: api.RollbackRequest{Version: version}}
	secret, _, err := call[api.Secret](ctx, c, r, options...)
	return secret, err
}

// DeletedSecrets lists the deleted secrets of an environment that can be brought
// back: when and by whom they were deleted.
func (c *Client) DeletedSecrets(ctx context.Context, e Environment) ([]api.Secret, error) {
	list, _, err := call[api.SecretList](ctx, c, request{method: http.MethodGet, path: e.path("secrets"), query: url.Values{"deleted": {"true"}}})
	return list.Results, err
}

// Revisions lists the changes of an environment's secrets, the newest first.
func (c *Client) Revisions(ctx context.Context, e Environment) iter.Seq2[api.EnvironmentRevision, error] {
	return pages[api.EnvironmentRevision](ctx, c, nil, e.path("revisions")...)
}

// RestoreEnvironment puts an environment back to a former revision, as one new
// one.
func (c *Client) RestoreEnvironment(ctx context.Context, e Environment, r api.RestoreRequest, options ...RequestOption) (api.BulkResult, error) {
	result, _, err := call[api.BulkResult](ctx, c, request{method: http.MethodPost, path: e.path("restore"), body: r}, options...)
	return result, err
}

// past adds a former state to a query.
func past(query url.Values, revision *int64, at *time.Time) {
	if revision != nil {
		query.Set("revision", strconv.FormatInt(*revision, 10))
	}
	if at != nil {
		query.Set("at", at.UTC().Format(time.RFC3339Nano))
	}
}
