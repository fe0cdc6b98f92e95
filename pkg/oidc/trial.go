package oidc

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// Names of the parts, as Finding tells them.
const (
	partAuthorization = "authorization endpoint"
	partToken         = "token endpoint"
	partUserinfo      = "userinfo endpoint"
	partEndSession    = "end session endpoint"
	partIssuer        = "issuer"
)

// trialCode and trialSecret stand where a sign-in has its own. They are no
// secrets: no provider has given or been given them.
const (
	trialCode   = "heartlock-connection-test"
	trialSecret = "heartlock-connection-test-0000000000000000000"
)

// Finding is what Test found out about one part of the configuration.
type Finding struct {
	Part    string // what was tried: one of the names above
	OK      bool
	Message string // a sentence for an administrator; holds nothing that the provider has written
}

// Test tries the provider out, as far as that goes without a person who signs in,
// and says what works and what does not. It takes 8 seconds at most. redirectURI
// is the callback that sign-ins will name. It is for administrators alone: what it
// says shows what a network holds.
func (p *Provider) Test(ctx context.Context, redirectURI string) []Finding {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	findings := []Finding{
		p.testAuthorization(ctx, redirectURI), p.testToken(ctx, redirectURI), p.testUserinfo(ctx),
	}
	if p.config.EndSessionEndpoint != "" {
		findings = append(findings, p.testEndSession(ctx))
	}
	if p.config.Issuer != "" {
		findings = append(findings, p.testIssuer(ctx))
	}
	return findings
}

// testAuthorization asks as a browser would, without following.
func (p *Provider) testAuthorization(ctx context.Context, redirectURI string) Finding {
	f := Finding{Part: partAuthorization}
	status, _, err := p.ask(ctx, http.MethodGet, p.AuthorizationURL(trialCode, trialCode, trialSecret, redirectURI), nil)
	switch {
	case err != nil:
		f.Message = sentence("It could not be asked: ", err)
	case status == http.StatusNotFound:
		f.Message = "The provider knows no such page (404): check the address."
	case status >= 500:
		f.Message = "The provider fails there (" + strconv.Itoa(status) + ")."
	case status >= 400:
		f.Message = "The provider refuses the request (" + strconv.Itoa(status) + "): check the client id, the scopes, and that it knows the redirect URI."
	default:
		f.OK, f.Message = true, "It answers."
	}
	return f
}

// testToken redeems a code that can not be valid. The answer shows whether it is
// a token endpoint, and whether it takes the client's credentials.
func (p *Provider) testToken(ctx context.Context, redirectURI string) Finding {
	f := Finding{Part: partToken}
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {trialCode}, "redirect_uri": {redirectURI}, "code_verifier": {trialSecret},
	}
	status, body, err := p.ask(ctx, http.MethodPost, p.config.TokenEndpoint, form)
	if err != nil {
		f.Message = sentence("It could not be asked: ", err)
		return f
	}
	var refusal struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &refusal) != nil || refusal.Error == "" {
		f.Message = "It does not answer like a token endpoint (status " + strconv.Itoa(status) + "): check the address."
		return f
	}
	switch code := KnownErrorCode(refusal.Error); code {
	case "invalid_grant":
		f.OK, f.Message = true, "It answers and accepts this server's client id and secret."
	case "invalid_client", "unauthorized_client":
		f.Message = "It refuses this server's client id or secret (" + code + "). The secret is sent by HTTP Basic (client_secret_basic): the provider must allow that."
	case "":
		f.OK, f.Message = true, "It answers; whether it accepts this server's client id and secret can not be told."
	default:
		f.OK, f.Message = true, "It answers ("+code+"); whether it accepts this server's client id and secret can not be told."
	}
	return f
}

// testUserinfo asks without a token, which must be refused.
func (p *Provider) testUserinfo(ctx context.Context) Finding {
	f := Finding{Part: partUserinfo}
	status, _, err := p.ask(ctx, http.MethodGet, p.config.UserinfoEndpoint, nil)
	switch {
	case err != nil:
		f.Message = sentence("It could not be asked: ", err)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		f.OK, f.Message = true, "It answers and wants a token."
	default:
		f.Message = "It does not answer like a userinfo endpoint: without a token it must refuse with 401 or 403, but its status is " + strconv.Itoa(status) + "."
	}
	return f
}

func (p *Provider) testEndSession(ctx context.Context) Finding {
	f := Finding{Part: partEndSession}
	status, _, err := p.ask(ctx, http.MethodGet, p.config.EndSessionEndpoint, nil)
	switch {
	case err != nil:
		f.Message = sentence("It could not be asked: ", err)
	case status == http.StatusNotFound:
		f.Message = "The provider knows no such page (404): check the address."
	case status >= 500:
		f.Message = "The provider fails there (" + strconv.Itoa(status) + ")."
	default:
		f.OK, f.Message = true, "It answers."
	}
	return f
}

// testIssuer reads the discovery document anew.
func (p *Provider) testIssuer(ctx context.Context) Finding {
	f := Finding{Part: partIssuer}
	fresh := &Provider{config: p.config, client: p.client}
	if _, err := fresh.discover(ctx); err != nil {
		f.Message = sentence("Its discovery document (/.well-known/openid-configuration) could not be used: ", err)
		return f
	}
	f.OK, f.Message = true, "Its discovery document names this issuer."
	return f
}

// ask sends one request; the error is one of transportCause. With a form the client proves itself as in a sign-in.
func (p *Provider) ask(ctx context.Context, method, address string, form url.Values) (status int, body []byte, err error) {
	if form != nil && p.secret() == "" {
		form.Set("client_id", p.config.ClientID)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, transportCause(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if p.secret() != "" {
			request.SetBasicAuth(url.QueryEscape(p.config.ClientID), url.QueryEscape(p.secret())) // RFC 6749 2.3.1
		}
	}
	answer, err := p.client.Do(request)
	if err != nil {
		return 0, nil, transportCause(err)
	}
	defer answer.Body.Close()
	if form == nil { // what a page says does not matter
		return answer.StatusCode, nil, nil
	}
	body, err = io.ReadAll(answer.Body)
	if err != nil {
		return 0, nil, transportCause(err)
	}
	return answer.StatusCode, body, nil
}

func sentence(start string, cause error) string { return start + cause.Error() + "." }
