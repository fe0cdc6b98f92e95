// Package web is what Heartlock answers to people's browsers beside the API: so
// far the two addresses of single sign-on.
//
// Handlers translate between HTTP and the vault and decide nothing. Every page
// carries a Content-Security-Policy of its own that allows it no more than it
// needs.
package web

import (
	"github.com/heartlock/heartlock/pkg/oidc"
)

// SSO is single sign-on as it is configured at one moment.
type SSO struct {
	Provider *oidc.Provider
	// CreateUnknownUser: who is unknown gets an account.
	CreateUnknownUser bool
}
