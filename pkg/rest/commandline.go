package rest

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

// commandLineRoutes are the two ends of the sign-in of the command line. What is in the
// middle are pages, on which a person agrees.
func commandLineRoutes() []Route {
	return []Route{
		define(post, "/auth/device/", vault.ActionBeginDevice, ok,
			"Begin to sign a command line in by a code that a person types into a browser elsewhere (RFC 8628).", beginDevice),
		define(post, "/auth/cli-token/", vault.ActionMakeCLIToken, ok,
			"End the sign-in of a command line: a personal token for the code that the browser has brought, or for a device code. A refusal's error is one of RFC 6749 and RFC 8628.", exchangeCLIToken),
	}
}

func beginDevice(c *call, in withBody[api.BeginDevice]) (api.DeviceAuthorization, error) {
	return c.api.vault.BeginDevice(c, c.who, in.Body)
}

func exchangeCLIToken(c *call, in withBody[api.CLITokenRequest]) (api.CLIToken, error) {
	return c.api.vault.ExchangeCLIToken(c, c.who, in.Body)
}
