package oidc

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/oauth2"

	"github.com/heartlock/heartlock/pkg/fault"
)

// maxSubject is the length that OpenID Connect Core 1.0 (2) allows to "sub".
const maxSubject = 255

// Identity is who a provider says that someone is. Provider and Subject together
// identify him for ever; the rest may change, and is only what the provider says
// at this moment.
type Identity struct {
	Provider string // see Provider.ID
	// FormerProvider is what the same provider was called before its issuer was
	// configured, or "": an identity stored under it with the same subject is his.
	FormerProvider string
	Subject        string
	Email          string // "" if the provider does not tell
	// EmailVerified is true only if the provider says true, or "true" as some do.
	EmailVerified bool
	FirstName     string
	LastName      string
}

// Exchange turns the code that the browser brought back into an identity. The
// verifier, nonce and redirectURI are those that the sign-in began with. It takes
// 8 seconds at most.
//
// Errors: fault.Invalid if the code is not (or no longer) valid; fault.Forbidden
// if what the provider says must not be believed; fault.Unavailable if it does
// not answer as it should, or refuses Heartlock's client id or secret.
func (p *Provider) Exchange(ctx context.Context, code, verifier, nonce, redirectURI string) (Identity, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	token, err := p.redeem(ctx, code, verifier, redirectURI)
	if err != nil {
		return Identity{}, err
	}
	subject := ""
	if p.config.Issuer != "" {
		if subject, err = p.verify(ctx, token, nonce); err != nil {
			return Identity{}, err
		}
	}
	identity, err := p.userinfo(ctx, token.AccessToken)
	if err != nil {
		return Identity{}, err
	}
	if subject != "" && subject != identity.Subject { // OpenID Connect Core 1.0, 5.3.2
		return Identity{}, untrusted(errors.New("ID token and userinfo are about different subjects"))
	}
	identity.Provider, identity.FormerProvider = p.ID(), p.FormerID()
	return identity, nil
}

// redeem asks the token endpoint (RFC 6749 4.1.3).
func (p *Provider) redeem(ctx context.Context, code, verifier, redirectURI string) (*oauth2.Token, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, p.client)
	token, err := p.oauth(redirectURI, "").Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, tokenFault(err)
	}
	if !strings.EqualFold(token.Type(), "Bearer") {
		return nil, unavailable("its token endpoint gave a token of a kind that Heartlock can not use", nil)
	}
	return token, nil
}

// userinfo asks who the access token is about (OpenID Connect Core 1.0, 5.3).
func (p *Provider) userinfo(ctx context.Context, accessToken string) (Identity, error) {
	const where = "its userinfo endpoint did not answer as it should"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.config.UserinfoEndpoint, nil)
	if err != nil {
		return Identity{}, unavailable(where, nil)
	}
	request.Header.Set("Authorization", "Bearer "+accessToken)
	request.Header.Set("Accept", "application/json")
	answer, err := p.client.Do(request)
	if err != nil {
		return Identity{}, unavailable(where, transportCause(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return Identity{}, unavailable(where, statusCause(answer.StatusCode))
	}
	if kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return Identity{}, unavailable(where, errors.New("the answer is not application/json"))
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return Identity{}, unavailable(where, transportCause(err))
	}
	return parseUserinfo(body)
}

// claims are those that are used. What is not of the type that it should be is
// taken as not said.
type claims struct {
	Subject       jsontext.Value `json:"sub"`
	Email         jsontext.Value `json:"email"`
	EmailVerified jsontext.Value `json:"email_verified"`
	Name          jsontext.Value `json:"name"`
	GivenName     jsontext.Value `json:"given_name"`
	FamilyName    jsontext.Value `json:"family_name"`
}

func parseUserinfo(body []byte) (Identity, error) {
	var c claims
	if err := json.Unmarshal(body, &c); err != nil {
		return Identity{}, unavailable("its userinfo endpoint did not answer as it should", errors.New("the answer is not a JSON object with distinct members"))
	}
	identity := Identity{
		Subject: text(c.Subject), Email: text(c.Email), EmailVerified: isTrue(c.EmailVerified),
		FirstName: text(c.GivenName), LastName: text(c.FamilyName),
	}
	if identity.FirstName == "" && identity.LastName == "" {
		identity.FirstName = text(c.Name)
	}
	if !validSubject(identity.Subject) {
		return Identity{}, untrusted(errors.New("userinfo has no usable sub"))
	}
	return identity, nil
}

// validSubject accepts a text of 1 to 255 bytes without control characters.
func validSubject(subject string) bool {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	return subject != "" && len(subject) <= maxSubject && !strings.ContainsFunc(subject, control)
}

// text is the string that a claim is, or "".
func text(claim jsontext.Value) string {
	var s string
	if claim.Kind() != '"' || json.Unmarshal(claim, &s) != nil {
		return ""
	}
	return s
}

// isTrue reports whether a claim is true, or the text "true" that some providers
// write in its place. Everything else, also an absent claim, is not.
func isTrue(claim jsontext.Value) bool {
	return claim.Kind() == 't' || text(claim) == "true"
}

// tokenFault words a failure of the token endpoint. The error of oauth2 holds the
// provider's whole answer, so it goes no further.
func tokenFault(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return unavailable("its token endpoint did not answer as it should", transportCause(err))
	}
	cause := codeCause(refused.Response.StatusCode, refused.ErrorCode)
	switch refused.ErrorCode {
	case "invalid_grant":
		return fault.Wrap(fault.Invalid, cause, "This sign-in has run out or was used already. Start again.")
	case "invalid_client", "unauthorized_client":
		return unavailable("it refuses this server's client id or secret", cause)
	}
	return unavailable("its token endpoint did not answer as it should", cause)
}

// unavailable words that the provider fails; what is a clause about "it".
func unavailable(what string, cause error) error {
	return fault.Wrap(fault.Unavailable, cause,
		"The identity provider can not be used: "+what+". Try again; if it stays so, tell an administrator of this server.")
}

// untrusted words that what the provider says must not be believed.
func untrusted(cause error) error {
	return fault.Wrap(fault.Forbidden, cause,
		"What the identity provider said about you could not be verified, so you were not signed in. Tell an administrator of this server.")
}
