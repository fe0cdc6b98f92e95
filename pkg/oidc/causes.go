package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
)

// errorCodes are the codes that a provider may give (RFC 6749 4.1.2.1 and 5.2,
// OpenID Connect Core 1.0 3.1.2.6). Only these are ever shown or logged: what else
// comes in their place may be anything.
var errorCodes = []string{
	"access_denied", "account_selection_required", "consent_required", "interaction_required", "invalid_client",
	"invalid_grant", "invalid_request", "invalid_request_object", "invalid_request_uri", "invalid_scope", "login_required",
	"registration_not_supported", "request_not_supported", "request_uri_not_supported", "server_error",
	"temporarily_unavailable", "unauthorized_client", "unsupported_grant_type", "unsupported_response_type",
}

// KnownErrorCode is code if it is one that the standards know, else "": what a
// page may show of the "error" that a browser comes back with.
func KnownErrorCode(code string) string {
	if slices.Contains(errorCodes, code) {
		return code
	}
	return ""
}

func statusCause(status int) error {
	if status >= 300 && status < 400 {
		return fmt.Errorf("status %d: redirects are not followed", status)
	}
	return fmt.Errorf("status %d", status)
}

func codeCause(status int, code string) error {
	if code = KnownErrorCode(code); code != "" {
		return fmt.Errorf("status %d, error %s", status, code)
	}
	return statusCause(status)
}

// transportCause is why an endpoint could not be asked, in words of ours: the
// texts of libraries may repeat what the other side has sent.
func transportCause(err error) error {
	var (
		network  net.Error
		name     *net.DNSError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		op       *net.OpError
	)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errAddressRefused):
		return errAddressRefused
	case errors.Is(err, errPlainHTTP):
		return errPlainHTTP
	case errors.Is(err, errTooLarge):
		return errTooLarge
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return errors.New("it did not answer in time")
	case errors.Is(err, context.Canceled):
		return errors.New("the request was given up")
	case errors.As(err, &name):
		return errors.New("its name does not resolve")
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid):
		return errors.New("its certificate is not valid for it, or of an authority that this server does not know")
	case errors.As(err, &record):
		return errors.New("it does not speak TLS")
	case errors.As(err, &op):
		return errors.New("it can not be connected to")
	}
	return errors.New("the answer could not be read")
}
