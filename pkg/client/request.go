package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// request is one call of an endpoint.
type request struct {
	method string
	path   []string // the parts below /api/v1/, not yet escaped
	query  url.Values
	body   any // nil: none
	header http.Header
}

// answer is a successful response, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// RequestOption adds a condition or a key to one request.
type RequestOption func(*request)

// IfMatch makes a change happen only if the environment is still in the state
// that etag names (the ETag of an earlier answer); otherwise it fails with
// [fault.PreconditionFailed].
func IfMatch(etag string) RequestOption { return withHeader("If-Match", etag) }

// IdempotencyKey makes a creation happen once: a second request with the same
// key gets the first one's answer. Choose a random key for each creation.
func IdempotencyKey(key string) RequestOption { return withHeader("Idempotency-Key", key) }

func withHeader(name, value string) RequestOption {
	return func(r *request) {
		if value == "" {
			return
		}
		if r.header == nil {
			r.header = make(http.Header)
		}
		r.header.Set(name, value)
	}
}

// call sends r and decodes the answer into a T.
func call[T any](ctx context.Context, c *Client, r request, options ...RequestOption) (T, *answer, error) {
	var result T
	a, err := c.send(ctx, r, options...)
	if err != nil {
		return result, nil, err
	}
	if a.status == http.StatusNotModified {
		return result, a, nil
	}
	if err := c.decode(a, &result); err != nil {
		return result, nil, err
	}
	return result, a, nil
}

// send sends r, reads the whole answer within the limits, and turns everything
// but success into an error.
func (c *Client) send(ctx context.Context, r request, options ...RequestOption) (*answer, error) {
	for _, option := range options {
		option(&r)
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	httpRequest, err := c.newHTTPRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	response, err := c.transport.RoundTrip(httpRequest)
	if err != nil {
		return nil, c.networkFailure(outer, err)
	}
	defer response.Body.Close()
	body, err := c.readBody(response)
	if err != nil {
		return nil, c.readFailure(outer, err)
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
		return &answer{response.StatusCode, response.Header, body}, nil
	case http.StatusNotModified:
		if httpRequest.Header.Get("If-None-Match") != "" {
			return &answer{response.StatusCode, response.Header, nil}, nil
		}
	}
	return nil, c.refusal(httpRequest, response, body)
}

func (c *Client) newHTTPRequest(ctx context.Context, r request) (*http.Request, error) {
	address, err := c.address(r)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if r.body != nil {
		var b bytes.Buffer
		if err := api.Encode(&b, r.body); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "The request can not be written as JSON: a text in it is not valid UTF-8.")
		}
		body = &b
	}
	httpRequest, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "The request could not be built.")
	}
	for name, values := range r.header {
		httpRequest.Header[name] = values
	}
	httpRequest.Header.Set("Accept", "application/json, "+api.ProblemType)
	httpRequest.Header.Set("User-Agent", c.userAgent)
	if body != nil {
		httpRequest.Header.Set("Content-Type", "application/json")
	}
	if token := c.token(); token != "" {
		httpRequest.Header.Set("Authorization", "Bearer "+token)
	}
	return httpRequest, nil
}

// address escapes the parts of the path. An empty part, "." or ".." would name
// another endpoint than the one that was meant.
func (c *Client) address(r request) (string, error) {
	var b strings.Builder
	b.WriteString(c.origin + api.Prefix + "/")
	for _, part := range r.path {
		if part == "" || part == "." || part == ".." {
			return "", fault.Newf(fault.Invalid, "%q can not name a project, an environment, a secret or a token.", part)
		}
		b.WriteString(url.PathEscape(part) + "/")
	}
	if len(r.query) > 0 {
		b.WriteString("?" + r.query.Encode())
	}
	return b.String(), nil
}

var errTooLarge = errors.New("the answer is larger than the limit")

// readBody reads an answer that is not longer than the limit.
func (c *Client) readBody(response *http.Response) ([]byte, error) {
	if response.ContentLength > c.maxBytes {
		return nil, errTooLarge
	}
	var b bytes.Buffer
	if response.ContentLength > 0 {
		b.Grow(int(response.ContentLength) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(response.Body, c.maxBytes+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > c.maxBytes {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

// decode reads the body of a success. What is not JSON of the expected form did
// not come from a Heartlock server.
func (c *Client) decode(a *answer, dst any) error {
	if !isJSON(a.header, "application/json") {
		return c.strange(nil, "It did not answer in JSON.")
	}
	if err := api.DecodeResponse(a.body, dst); err != nil {
		return c.strange(err, "Its answer is not one that this version understands.")
	}
	return nil
}

func isJSON(h http.Header, mediaType string) bool {
	got, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && got == mediaType
}
