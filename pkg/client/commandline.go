package client

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// The sign-in of a command line is for a client without a token. What refuses it has
// one of the words of api.CLIToken in the fault's Code.

// CodeToken ends a sign-in by a browser on this machine: it exchanges the code that the
// browser has brought, and the verifier to the challenge that it was sent away with, for
// a personal token. A code serves once and for a minute.
func (c *Client) CodeToken(ctx context.Context, code, verifier api.Value) (api.CLIToken, error) {
	return c.cliToken(ctx, api.CLITokenRequest{Code: code, CodeVerifier: verifier})
}

// BeginDevice begins a sign-in by a code that a person types into a browser elsewhere.
// machine is the name of this one; it may be empty. Go on with AwaitDevice.
func (c *Client) BeginDevice(ctx context.Context, machine string) (api.DeviceAuthorization, error) {
	if err := c.mayReceiveToken(); err != nil {
		return api.DeviceAuthorization{}, err
	}
	begun, _, err := call[api.DeviceAuthorization](ctx, c,
		request{method: http.MethodPost, path: []string{"auth", "device"}, body: api.BeginDevice{Machine: machine}})
	if err == nil && (begun.DeviceCode.Len() == 0 || begun.UserCode == "" || begun.VerificationURI == "") {
		return begun, c.strange(nil, "Its answer holds no code.")
	}
	return begun, err
}

// DeviceToken asks once whether somebody has agreed, and for the token if so.
func (c *Client) DeviceToken(ctx context.Context, deviceCode api.Value) (api.CLIToken, error) {
	return c.cliToken(ctx, api.CLITokenRequest{DeviceCode: deviceCode})
}

// AwaitDevice asks until somebody has decided, the time is over, or ctx ends. It keeps
// to the server's interval and asks less often when it is told to (RFC 8628, section
// 3.5), or when the server can not be reached, which does not end the waiting.
func (c *Client) AwaitDevice(ctx context.Context, begun api.DeviceAuthorization) (api.CLIToken, error) {
	const unsaid, slower, longest = 5 * time.Second, 5 * time.Second, time.Minute
	if err := c.mayReceiveToken(); err != nil {
		return api.CLIToken{}, err
	}
	interval := time.Duration(begun.Interval) * time.Second
	if interval <= 0 {
		interval = unsaid
	}
	end := time.Now().Add(time.Duration(begun.ExpiresIn) * time.Second)
	for time.Now().Before(end) {
		if err := pause(ctx, interval); err != nil {
			return api.CLIToken{}, c.networkFailure(ctx, err)
		}
		token, err := c.DeviceToken(ctx, begun.DeviceCode)
		switch {
		case err == nil:
			return token, nil
		case saysToWait(err, api.ErrorAuthorizationPending):
		case saysToWait(err, api.ErrorSlowDown):
			interval += slower
		case ctx.Err() == nil && (errors.Is(err, fault.Unavailable) || errors.Is(err, fault.TooManyRequests)):
			interval = min(max(2*interval, fault.As(err).RetryAfter), longest)
		default:
			return token, err
		}
	}
	return api.CLIToken{}, &fault.Error{Kind: fault.Invalid, Code: api.ErrorExpiredToken, Message: "Nobody has agreed to this sign-in in time. Start again."}
}

func saysToWait(err error, word string) bool {
	f := fault.As(err)
	return f != nil && f.Code == word
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) cliToken(ctx context.Context, in api.CLITokenRequest) (api.CLIToken, error) {
	if err := c.mayReceiveToken(); err != nil {
		return api.CLIToken{}, err
	}
	token, _, err := call[api.CLIToken](ctx, c, request{method: http.MethodPost, path: []string{"auth", "cli-token"}, body: in})
	if err == nil && token.Token.Len() == 0 {
		return token, c.strange(nil, "Its answer holds no token.")
	}
	return token, err
}

// mayReceiveToken refuses where everybody on the way could read the token.
func (c *Client) mayReceiveToken() error {
	if !c.exposed {
		return nil
	}
	return fault.Newf(fault.Usage,
		"Nothing was sent: %s is plain http, where everybody on the way can read the token. Use https, or allow it with --insecure-http (InsecureHTTP).", c.origin)
}
