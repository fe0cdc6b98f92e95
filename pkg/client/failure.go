package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// ResponseError is how a server refused a request. It is the cause below the
// fault that a method returns, and meant for logs: it holds neither the token
// nor anything of the bodies.
type ResponseError struct {
	Method    string
	Path      string
	Status    int
	RequestID string // the server's name for this request in its own log; "" when it gave none
	// Explained is whether the answer was a problem document of the API. Without
	// one it may come from a proxy that stands before the server.
	Explained bool

	body []byte
}

// Error names the request and the status.
func (e *ResponseError) Error() string {
	text := fmt.Sprintf("%s %s: status %d", e.Method, e.Path, e.Status)
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// refusal turns an answer that is no success into an error.
func (c *Client) refusal(request *http.Request, response *http.Response, body []byte) error {
	cause := &ResponseError{
		Method:    request.Method,
		Path:      request.URL.EscapedPath(),
		Status:    response.StatusCode,
		RequestID: requestID(response.Header.Get("X-Request-Id")),
		body:      body,
	}
	if response.StatusCode >= 300 && response.StatusCode <= 399 {
		return c.redirect(request, response, cause)
	}
	var problem api.Problem
	if isJSON(response.Header, api.ProblemType) || isJSON(response.Header, "application/json") {
		cause.Explained = api.DecodeResponse(body, &problem) == nil && problem.Detail != ""
	}
	if !cause.Explained {
		return c.unexplained(cause)
	}
	if id := requestID(problem.RequestID); id != "" {
		cause.RequestID = id
	}
	e := fault.Wrap(kindOfStatus(response.StatusCode), cause, problem.Detail)
	for _, f := range problem.Errors {
		e.Fields = append(e.Fields, fault.Field{Location: f.Location, Message: f.Message})
	}
	e.SecondFactor, e.Code = problem.SecondFactor, problem.Error
	e.RetryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	return e
}

// kindOfStatus is fault.FromStatus, extended by the statuses that the server
// does not use but proxies and net/http do.
func kindOfStatus(status int) fault.Kind {
	switch {
	case status < 400, status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		return fault.Unavailable
	case status >= 400 && status <= 499 && fault.FromStatus(status) == fault.Internal:
		return fault.Invalid
	default:
		return fault.FromStatus(status)
	}
}

// unexplained is an error answer without a problem document. A 404 of that kind
// says that there is no API, not that a secret is missing: a script that goes on
// with a default when the secret is not found must not do so then.
func (c *Client) unexplained(cause *ResponseError) error {
	kind := kindOfStatus(cause.Status)
	if kind == fault.NotFound || kind == fault.MethodNotAllowed || kind == fault.Gone {
		kind = fault.Unavailable
	}
	status := strconv.Itoa(cause.Status)
	if text := http.StatusText(cause.Status); text != "" {
		status += " " + text
	}
	return fault.Wrap(kind, cause, fmt.Sprintf(
		"%s answered %s without an explanation. Is it the address of a Heartlock server, and does a proxy before it pass /api/ on?", c.origin, status))
}

// redirect is the error for an answer that points elsewhere. The query of the
// target is left out, as it may carry what is not to be shown.
func (c *Client) redirect(request *http.Request, response *http.Response, cause *ResponseError) error {
	target := "another address"
	text := response.Header.Get("Location")
	if location, err := request.URL.Parse(text); err == nil && text != "" && location.Host != "" {
		target = (&url.URL{Scheme: location.Scheme, Host: location.Host, Path: location.Path}).String()
	}
	return fault.Wrap(fault.Usage, cause, fmt.Sprintf(
		"The server redirected to %s. Redirects are not followed, and nothing was sent there; if that is where the server is, use its address instead of %s.", target, c.origin))
}

// strange is a success that makes no sense as one.
func (c *Client) strange(cause error, what string) error {
	return fault.Wrap(fault.Unavailable, cause, fmt.Sprintf("%s does not behave like a Heartlock server. %s", c.origin, what))
}

// networkFailure turns an error of the transport into a sentence that names the
// server. ctx is the caller's own: its end is told apart from our timeout.
func (c *Client) networkFailure(ctx context.Context, err error) error {
	return fault.Wrap(fault.Unavailable, err, c.networkReason(ctx, err))
}

func (c *Client) networkReason(ctx context.Context, err error) string {
	if reason := c.certificateReason(err); reason != "" {
		return reason
	}
	var (
		dns    *net.DNSError
		record tls.RecordHeaderError
		system syscall.Errno
	)
	switch {
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%s did not answer within %v.", c.origin, c.timeout)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%s did not answer in time.", c.origin)
	case errors.Is(err, context.Canceled):
		return fmt.Sprintf("The request to %s was given up.", c.origin)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("%s can not be reached: its name is not known.", c.origin)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("%s can not be reached: the connection was refused. Is the server running?", c.origin)
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return fmt.Sprintf("%s can not be reached: the server there speaks http, not https.", c.origin)
	case errors.As(err, &system):
		return fmt.Sprintf("%s can not be reached: %s.", c.origin, system.Error())
	default:
		return fmt.Sprintf("%s can not be reached.", c.origin)
	}
}

// certificateReason explains a certificate that was not accepted, or returns "".
func (c *Client) certificateReason(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		other   *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("The certificate of %s is signed by an authority that this machine does not trust. Nothing was sent.", c.origin)
	case errors.As(err, &host):
		return fmt.Sprintf("The certificate of %s is for another name. Nothing was sent.", c.origin)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("The certificate of %s has expired or is not valid yet. Nothing was sent.", c.origin)
	case errors.As(err, &invalid), errors.As(err, &other):
		return fmt.Sprintf("The certificate of %s is not valid. Nothing was sent.", c.origin)
	}
	return ""
}

// readFailure is an answer that began and could not be read to its end.
func (c *Client) readFailure(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errTooLarge):
		return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("The answer of %s is larger than %s and was not read.", c.origin, size(c.maxBytes)))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return c.networkFailure(ctx, err)
	default:
		return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("The connection to %s broke off before its answer was complete.", c.origin))
	}
}

func size(n int64) string {
	if n >= 1<<20 && n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds or a date.
// What makes no sense counts as absent.
func retryAfter(text string, now time.Time) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longest)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), longest))
}

// requestID keeps an id only if it looks like one: it is going to be printed.
func requestID(text string) string {
	if len(text) > 100 {
		return ""
	}
	for _, b := range []byte(text) {
		if b <= ' ' || b >= 0x7f {
			return ""
		}
	}
	return text
}
