package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// ListSecrets says what a list of secrets is to hold.
type ListSecrets struct {
	Values      bool   // with the values, not only the metadata
	IfNoneMatch string // the ETag of an earlier answer: nothing is sent again if it still holds
	// Revision and At, of which one may be set, ask for a former state.
	Revision *int64
	At       *time.Time
}

// Secrets is the state of an environment.
type Secrets struct {
	api.SecretList
	ETag        string // names this state, for ListSecrets.IfNoneMatch and for IfMatch
	NotModified bool   // IfNoneMatch still holds; the list is empty
}

// Secrets lists all secrets of an environment. Every value that is read is
// written to the audit trail.
func (c *Client) Secrets(ctx context.Context, e Environment, l ListSecrets) (Secrets, error) {
	r := request{method: http.MethodGet, path: e.path("secrets"), query: url.Values{}}
	if l.Values {
		r.query.Set("values", "true")
	}
	past(r.query, l.Revision, l.At)
	list, a, err := call[api.SecretList](ctx, c, r, withHeader("If-None-Match", l.IfNoneMatch))
	if err != nil {
		return Secrets{}, err
	}
	if l.Values {
		for _, s := range list.Results {
			if s.Value == nil {
				return Secrets{}, c.strange(nil, "Its answer lacks a value.")
			}
		}
	}
	return Secrets{SecretList: list, ETag: a.header.Get("ETag"), NotModified: a.status == http.StatusNotModified}, nil
}

// Secret reads one secret; its Value is never nil. The read is written to the
// audit trail.
func (c *Client) Secret(ctx context.Context, e Environment, key string) (api.Secret, error) {
	if err := checkKey(key); err != nil {
		return api.Secret{}, err
	}
	secret, _, err := call[api.Secret](ctx, c, request{method: http.MethodGet, path: e.path("secrets", key)})
	if err == nil && (secret.Value == nil || secret.Key != key) {
		return api.Secret{}, c.strange(nil, "Its answer is not the secret that was asked for.")
	}
	return secret, err
}

// PutSecret creates a secret or replaces its value, and reports whether it was
// created. A value that is already there makes no new version.
func (c *Client) PutSecret(ctx context.Context, e Environment, key string, p api.PutSecret, options ...RequestOption) (secret api.Secret, created bool, err error) {
	if err := checkKey(key); err != nil {
		return api.Secret{}, false, err
	}
	secret, a, err := call[api.Secret](ctx, c, request{method: http.MethodPut, path: e.path("secrets", key), body: p}, options...)
	if err != nil {
		return api.Secret{}, false, err
	}
	return secret, a.status == http.StatusCreated, nil
}

// PatchSecret renames a secret or edits its comment.
func (c *Client) PatchSecret(ctx context.Context, e Environment, key string, p api.PatchSecret, options ...RequestOption) (api.Secret, error) {
	if err := checkKey(key); err != nil {
		return api.Secret{}, err
	}
	secret, _, err := call[api.Secret](ctx, c, request{method: http.MethodPatch, path: e.path("secrets", key), body: p}, options...)
	return secret, err
}

// DeleteSecret removes one secret.
func (c *Client) DeleteSecret(ctx context.Context, e Environment, key string, options ...RequestOption) error {
	if err := checkKey(key); err != nil {
		return err
	}
	_, err := c.send(ctx, request{method: http.MethodDelete, path: e.path("secrets", key)}, options...)
	return err
}

// BulkSecrets sets and removes many secrets, all or none of them.
func (c *Client) BulkSecrets(ctx context.Context, e Environment, b api.BulkRequest, options ...RequestOption) (api.BulkResult, error) {
	result, _, err := call[api.BulkResult](ctx, c, request{method: http.MethodPost, path: e.path("secrets", "bulk"), body: b}, options...)
	return result, err
}

// checkKey keeps a key that can not exist from travelling at all: what stands in
// its place may be a value.
func checkKey(key string) error {
	if problem := api.CheckKey(key); problem != "" {
		return fault.InvalidField("path.key", problem)
	}
	return nil
}
