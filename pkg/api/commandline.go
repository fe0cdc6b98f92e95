package api

import "time"

// The words in Problem.Error with which a CLITokenRequest is refused. They are those of
// RFC 6749, section 5.2, and RFC 8628, section 3.5, and as there the status is 400.
const (
	ErrorInvalidGrant         = "invalid_grant"         // the code serves nobody (any more): begin anew
	ErrorAuthorizationPending = "authorization_pending" // nobody has decided yet: ask again after the interval
	ErrorSlowDown             = "slow_down"             // asked too soon: make the interval longer by five seconds
	ErrorAccessDenied         = "access_denied"         // a person has said no
	ErrorExpiredToken         = "expired_token"         // the device code serves nobody (any more): begin anew
)

// BeginDevice asks for a sign-in by a code that a person types into a browser
// elsewhere (RFC 8628). Machine is the name of where the command line runs; the person
// is shown it, and the token is named after it. It may be empty.
type BeginDevice struct {
	Machine string `json:"machine,omitzero"`
}

// DeviceAuthorization is what such a sign-in goes on with: the person opens
// VerificationURI and types UserCode, while the command line asks for its token with
// DeviceCode, once in Interval seconds and for no more than ExpiresIn seconds.
type DeviceAuthorization struct {
	DeviceCode              Value  `json:"device_code"`
	UserCode                string `json:"user_code"` // two groups of four letters, as in BCDF-GHJK
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"` // with the user code
	ExpiresIn               int    `json:"expires_in"`
	Interval                int    `json:"interval"`
}

// CLITokenRequest ends a sign-in of the command line. Either Code and CodeVerifier are
// given, which the browser has brought and of which the verifier never left the
// command line (RFC 7636); or DeviceCode.
type CLITokenRequest struct {
	Code         Value `json:"code,omitzero"`
	CodeVerifier Value `json:"code_verifier,omitzero"`
	DeviceCode   Value `json:"device_code,omitzero"`
}

// CLIToken is the personal token that the command line is given, and whose it is. The
// token is in this one answer only. When there is none, the problem's error says what
// to do: one of the words above.
type CLIToken struct {
	Token     Value      `json:"token"`
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Prefix    string     `json:"prefix"`
	ExpiresAt *time.Time `json:"expires_at"`
	Email     string     `json:"email"` // of the person
}
