package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// discoveryLife is how long a discovery document is believed. Keys are looked for
// more often: whenever a token names one that is not known.
const discoveryLife = time.Hour

// verify checks the ID token of a token answer and gives its subject (OpenID
// Connect Core 1.0, 3.1.3.7). An answer without one is refused: it would be a way
// around the check.
func (p *Provider) verify(ctx context.Context, token *oauth2.Token, nonce string) (subject string, err error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return "", untrusted(errors.New("the token answer holds no ID token"))
	}
	verifier, err := p.discover(ctx)
	if err != nil {
		return "", unavailable("its discovery document could not be read", err)
	}
	idToken, err := verifier.Verify(ctx, raw)
	if err != nil {
		return "", untrusted(verifyCause(err))
	}
	if subtle.ConstantTimeCompare([]byte(idToken.Nonce), []byte(nonce)) != 1 {
		return "", untrusted(errors.New("the ID token has another nonce"))
	}
	var more struct {
		AuthorizedParty string `json:"azp"`
	}
	if err := idToken.Claims(&more); err != nil {
		return "", untrusted(errors.New("the claims of the ID token can not be read"))
	}
	if more.AuthorizedParty != "" && more.AuthorizedParty != p.config.ClientID || more.AuthorizedParty == "" && len(idToken.Audience) > 1 {
		return "", untrusted(errors.New("the ID token is for another client (azp)"))
	}
	if idToken.AccessTokenHash != "" && idToken.VerifyAccessToken(token.AccessToken) != nil {
		return "", untrusted(errors.New("the ID token is for another access token (at_hash)"))
	}
	if !validSubject(idToken.Subject) {
		return "", untrusted(errors.New("the ID token has no usable sub"))
	}
	return idToken.Subject, nil
}

// discover gives the verifier of the issuer's ID tokens. The lock is held while
// the document is read, which is bounded: who comes meanwhile needs it too.
func (p *Provider) discover(ctx context.Context) (*gooidc.IDTokenVerifier, error) {
	p.discovery.Lock()
	defer p.discovery.Unlock()
	now := p.config.Now()
	if p.verifier != nil && now.Sub(p.discovered) < discoveryLife {
		return p.verifier, nil
	}
	found, err := gooidc.NewProvider(gooidc.ClientContext(ctx, p.client), p.config.Issuer)
	if err != nil {
		return nil, discoveryCause(err)
	}
	p.verifier = found.Verifier(&gooidc.Config{ClientID: p.config.ClientID, Now: p.config.Now})
	p.discovered = now
	return p.verifier, nil
}

func discoveryCause(err error) error {
	var mismatch *gooidc.IssuerMismatchError
	if errors.As(err, &mismatch) {
		return errors.New("it names another issuer than the configured one")
	}
	return transportCause(err)
}

// verifyCause says which check an ID token failed, without the library's text,
// which repeats what is in the token.
func verifyCause(err error) error {
	var expired *gooidc.TokenExpiredError
	if errors.As(err, &expired) {
		return errors.New("the ID token has expired")
	}
	for _, known := range []string{
		"id token issued by a different provider", "expected audience", "before the nbf", "malformed jwt", "id token not signed",
		"multiple signatures", "fetching keys", "failed to verify id token signature", "failed to verify signature",
	} {
		if strings.Contains(err.Error(), known) {
			return errors.New("the ID token was refused: " + known)
		}
	}
	return errors.New("the ID token was refused")
}
