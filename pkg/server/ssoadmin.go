package server

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// ssoAdmin is what administrators do with the settings of single sign-on, for
// package rest.
type ssoAdmin struct {
	*follower
	trials trials
}

// errNotReady answers while no instance is in service.
var errNotReady = fault.New(fault.Unavailable, "The server is stopping.")

// ReadSSO tells the settings that are in force on this server.
func (a *ssoAdmin) ReadSSO(ctx context.Context, who vault.Principal) (api.SSOSettings, error) {
	if err := vault.Admit(who, vault.ActionReadSSO); err != nil {
		return api.SSOSettings{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server.current.Load() == nil {
		return api.SSOSettings{}, errNotReady
	}
	a.catchUp(ctx)
	return a.answer(who), nil
}

// answer describes what is in force. The caller holds a.mu.
func (a *ssoAdmin) answer(who vault.Principal) api.SSOSettings {
	cfg := a.server.current.Load().Config
	o := cfg.OIDC
	answer := api.SSOSettings{
		Enabled: o.Enabled, Missing: missingFields(o), Generation: a.applied.Generation,
		Enable: o.Switch, Issuer: o.Issuer, ClientID: o.ClientID, ClientSecretSet: o.ClientSecret.IsSet(),
		AuthorizationEndpoint: o.AuthorizationEndpoint, TokenEndpoint: o.TokenEndpoint, UserinfoEndpoint: o.UserinfoEndpoint,
		EndSessionEndpoint: o.EndSessionEndpoint, Scopes: strings.Join(o.Scopes, " "), RedirectURI: o.RedirectURI,
		CreateUnknownUser: o.CreateUnknownUser, Sources: ssoSources(cfg),
	}
	callback := o.RedirectURI
	if callback == "" && who.Request.Origin != "" {
		callback = who.Request.Origin + config.OIDCCallbackPath
	}
	if callback != "" {
		answer.CallbackURL = &callback
	}
	return answer
}

// missingFields are those that single sign-on can not do without and that are not
// set.
func missingFields(o config.OIDC) []string {
	missing := []string{}
	for _, field := range []struct{ name, text string }{
		{"client_id", o.ClientID},
		{"authorization_endpoint", o.AuthorizationEndpoint},
		{"token_endpoint", o.TokenEndpoint},
		{"userinfo_endpoint", o.UserinfoEndpoint},
	} {
		if field.text == "" {
			missing = append(missing, field.name)
		}
	}
	return missing
}

// ssoSources says where each field comes from.
func ssoSources(cfg *config.Server) map[string]string {
	sources := map[string]string{}
	for _, s := range cfg.Settings() {
		field, ok := strings.CutPrefix(s.Managed, "oidc.")
		if !ok {
			continue
		}
		switch s.Source {
		case "environment":
			sources[field] = s.Name
		case ".env":
			sources[field] = s.Name + " (.env)"
		default:
			sources[field] = strings.TrimSuffix(s.Source, " (alias)")
		}
	}
	return sources
}

// UpdateSSO saves the given fields for all servers and tells what is in force
// then.
func (a *ssoAdmin) UpdateSSO(ctx context.Context, who vault.Principal, in api.UpdateSSO, match vault.Match) (api.SSOSettings, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.server.current.Load()
	if now == nil {
		return api.SSOSettings{}, errNotReady
	}
	err := a.change(ctx, who, vault.ActionUpdateSSO, match, func(m *config.Managed) error {
		if err := applySSO(in, &m.OIDC); err != nil {
			return err
		}
		return guardSecret(now.Config, *m, in)
	})
	if err != nil {
		return api.SSOSettings{}, err
	}
	return a.answer(who), nil
}

// ResetSSO removes everything that is saved of single sign-on: the environment and
// the defaults count again.
func (a *ssoAdmin) ResetSSO(ctx context.Context, who vault.Principal, match vault.Match) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server.current.Load() == nil {
		return errNotReady
	}
	return a.change(ctx, who, vault.ActionResetSSO, match, func(m *config.Managed) error {
		m.OIDC = config.AppConfigOIDC{}
		return nil
	})
}

// applySSO changes the given fields. A text that is there but empty would count as
// unset in the file, and so has another meaning than it seems to have.
func applySSO(in api.UpdateSSO, o *config.AppConfigOIDC) error {
	for _, f := range []struct {
		name string
		from api.Optional[string]
		to   *string
	}{
		{"issuer", in.Issuer, &o.Issuer},
		{"client_id", in.ClientID, &o.ClientID},
		{"authorization_endpoint", in.AuthorizationEndpoint, &o.AuthorizationEndpoint},
		{"token_endpoint", in.TokenEndpoint, &o.TokenEndpoint},
		{"userinfo_endpoint", in.UserinfoEndpoint, &o.UserinfoEndpoint},
		{"end_session_endpoint", in.EndSessionEndpoint, &o.EndSessionEndpoint},
		{"scopes", in.Scopes, &o.Scopes},
		{"redirect_uri", in.RedirectURI, &o.RedirectURI},
	} {
		if !f.from.Given {
			continue
		}
		text, err := settingText(f.name, f.from.Value)
		if err != nil {
			return err
		}
		*f.to = text
	}
	if in.ClientSecret.Given {
		var text *string
		if in.ClientSecret.Value != nil {
			revealed := in.ClientSecret.Value.Reveal()
			text = &revealed
		}
		secret, err := settingText("client_secret", text)
		if err != nil {
			return err
		}
		o.ClientSecret = config.NewSecret(secret)
	}
	if in.Enable.Given {
		o.Enable = in.Enable.Value
	}
	if in.CreateUnknownUser.Given {
		o.CreateUnknownUser = in.CreateUnknownUser.Value
	}
	return nil
}

// settingText is the text of a field; null is "".
func settingText(name string, text *string) (string, error) {
	switch {
	case text == nil:
		return "", nil
	case *text == "":
		return "", fault.InvalidField("body."+name, "must not be empty; null removes what is saved")
	case len(*text) > api.MaxSettingLength:
		return "", fault.InvalidField("body."+name, "is longer than 2048 bytes")
	}
	return *text, nil
}

// guardSecret keeps a client secret from being sent to another place than it was
// meant for: who puts a secret and a token endpoint together anew has to know the
// secret. Otherwise whoever can write the settings could have it sent to himself,
// although nobody can read it. That goes for the secret of the server's
// environment, too, which comes back when the saved one is removed; with the token
// endpoint that stands beside it there it may.
func guardSecret(present *config.Server, m config.Managed, in api.UpdateSSO) error {
	if in.ClientSecret.Value != nil {
		return nil
	}
	next, err := present.With(m)
	if err != nil {
		return nil //nolint:nilerr // CheckManaged says what is wrong, field by field
	}
	if !next.OIDC.ClientSecret.IsSet() || next.OIDC.TokenEndpoint == "" || sameSecretAndPlace(next, present) {
		return nil
	}
	m.OIDC = config.AppConfigOIDC{}
	if unsaved, err := present.With(m); err == nil && sameSecretAndPlace(next, unsaved) {
		return nil
	}
	return fault.InvalidField("body.client_secret", "must be given together with another token endpoint: a secret is only sent to the endpoint that it was configured with")
}

func sameSecretAndPlace(a, b *config.Server) bool {
	return a.OIDC.TokenEndpoint == b.OIDC.TokenEndpoint && a.OIDC.ClientSecret.Equal(b.OIDC.ClientSecret)
}

// TestSSO tries single sign-on out with the settings as they would be with the
// given fields, and changes nothing.
func (a *ssoAdmin) TestSSO(ctx context.Context, who vault.Principal, in api.UpdateSSO) (api.SSOTest, error) {
	if err := vault.Admit(who, vault.ActionTestSSO); err != nil {
		return api.SSOTest{}, err
	}
	now := a.server.current.Load()
	if now == nil {
		return api.SSOTest{}, errNotReady
	}
	if err := a.trials.admit(who.Actor().ID, time.Now()); err != nil {
		return api.SSOTest{}, err
	}
	cfg, err := a.proposed(ctx, now.Config, in)
	if err != nil {
		return api.SSOTest{}, err
	}
	result := trySSO(ctx, cfg, who.Request.Origin)
	return result, now.Vault.RecordSSOTest(ctx, who, result.OK, trialDetail(cfg.OIDC, result))
}

// proposed are the settings as they would be.
func (a *ssoAdmin) proposed(ctx context.Context, present *config.Server, in api.UpdateSSO) (*config.Server, error) {
	if in == (api.UpdateSSO{}) {
		return present, nil
	}
	a.mu.Lock()
	from, err := a.draft(ctx)
	a.mu.Unlock()
	if err != nil {
		return nil, err
	}
	m := from.managed
	if err := applySSO(in, &m.OIDC); err != nil {
		return nil, err
	}
	if err := present.CheckManaged(m); err != nil {
		return nil, err
	}
	if err := guardSecret(present, m, in); err != nil {
		return nil, err
	}
	return present.With(m)
}

// trySSO asks the identity provider, as far as the settings allow.
func trySSO(ctx context.Context, cfg *config.Server, origin string) api.SSOTest {
	fails := func(message string) api.SSOTest {
		return api.SSOTest{Steps: []api.SSOTestStep{{Part: "settings", Message: message}}}
	}
	if missing := missingFields(cfg.OIDC); len(missing) > 0 {
		return fails("Not set: " + strings.Join(missing, ", ") + ".")
	}
	provider, err := newProvider(cfg.OIDC, cfg.Debug)
	if err != nil {
		return fails(fault.As(err).Error())
	}
	redirect, err := provider.RedirectURI(origin)
	if err != nil {
		return fails(fault.As(err).Error())
	}
	result := api.SSOTest{OK: true}
	for _, finding := range provider.Test(ctx, redirect) {
		result.OK = result.OK && finding.OK
		result.Steps = append(result.Steps, api.SSOTestStep{Part: finding.Part, OK: finding.OK, Message: finding.Message})
	}
	return result
}

// trialDetail says in the audit trail what was asked, and what of it did not work.
func trialDetail(o config.OIDC, result api.SSOTest) map[string]string {
	detail := auditDetail(map[string]string{
		"client_id": o.ClientID, "authorization_endpoint": o.AuthorizationEndpoint,
		"token_endpoint": o.TokenEndpoint, "userinfo_endpoint": o.UserinfoEndpoint,
	})
	var failed []string
	for _, step := range result.Steps {
		if !step.OK {
			failed = append(failed, step.Part)
		}
	}
	if len(failed) > 0 {
		detail["failed"] = strings.Join(failed, ", ")
	}
	return detail
}

// trials bounds how often an administrator may have the server call the identity
// provider.
type trials struct {
	mu     sync.Mutex
	recent map[string][]time.Time // by account
}

const (
	maxTrials   = 10
	trialWindow = time.Minute
)

func (t *trials) admit(account string, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recent == nil {
		t.recent = map[string][]time.Time{}
	}
	for id, times := range t.recent {
		times = slices.DeleteFunc(times, func(at time.Time) bool { return now.Sub(at) >= trialWindow })
		if t.recent[id] = times; len(times) == 0 {
			delete(t.recent, id)
		}
	}
	if mine := t.recent[account]; len(mine) >= maxTrials {
		e := fault.New(fault.TooManyRequests, "Single sign-on was tried out ten times within a minute. Wait before the next time.")
		e.RetryAfter = trialWindow - now.Sub(mine[0])
		return e
	}
	t.recent[account] = append(t.recent[account], now)
	return nil
}
