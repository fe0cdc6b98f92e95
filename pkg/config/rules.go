package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// applyRules settles what depends on several settings.
func (l *loader) applyRules() {
	l.aliasRule()
	l.emptyRule()
	l.secretKeyRule()
	l.hostsRule()
	l.listenRule()
	l.appURLRule()
	l.databaseRule()
	l.encryptionKeyRule()
	l.securityRule()
	l.originsRule()
	l.oidcRule()
	l.mailRule()
	l.server.Static.Root = absolute(l.server.Root, filepath.Clean(l.server.Static.Root))
}

func (l *loader) aliasRule() {
	for _, d := range l.clashes {
		l.warn("%s and an older name of it (%s) are both set and differ; %s counts.", d.Name, strings.Join(d.Aliases, ", "), d.Name)
	}
}

// emptyRule tells a production server's owner that the emptiness of these
// variables has a consequence.
func (l *loader) emptyRule() {
	if l.server.Debug {
		return
	}
	if l.empty[varEncryptionKey] && !l.explicit(varEncryptionKey) {
		l.warn("%s is set but empty, which counts as unset.", varEncryptionKey)
	}
	if l.empty[varDatabaseURL] && !l.explicit(varDatabaseURL) {
		l.warn("%s is set but empty, which counts as unset: using SQLite at %s.", varDatabaseURL, l.server.Database.Path)
	}
}

// secretKeyRule refuses weak keys in production, and marks them in development.
func (l *loader) secretKeyRule() {
	s := l.server
	problem := secretKeyProblem(s.SecretKey.Reveal())
	if !l.explicit(varSecretKey) {
		problem = "is not set"
		if l.empty[varSecretKey] {
			problem = "is set but empty, which counts as unset"
		}
	}
	const hint = "with DEBUG=False it must be at least 50 random characters; `openssl rand -hex 32` makes some"
	if problem != "" && !l.bad(varSecretKey) {
		s.SecretKeyInsecure = true
		if !s.Debug {
			l.fail(varSecretKey, "%s; %s", problem, hint)
		} else if l.explicit(varSecretKey) {
			l.warn("%s %s; %s.", varSecretKey, problem, hint)
		}
	}
	for i, old := range s.SecretKeyFallbacks {
		if problem := secretKeyProblem(old.Reveal()); problem != "" && !s.Debug {
			l.fail(varSecretFallbacks, "item %d %s; whoever guesses it could sign in as anybody", i+1, problem)
		}
	}
}

// secretKeyProblem is Django's check W009.
func secretKeyProblem(key string) string {
	distinct := map[rune]bool{}
	for _, r := range key {
		distinct[r] = true
	}
	switch {
	case strings.HasPrefix(key, "django-insecure-"):
		return "begins with django-insecure-, so it is not meant for production"
	case utf8.RuneCountInString(key) < 50:
		return "is shorter than 50 characters"
	case len(distinct) < 5:
		return "has fewer than 5 different characters"
	}
	return ""
}

func (l *loader) hostsRule() {
	s := l.server
	if s.Debug || l.bad(varAllowedHosts) {
		return
	}
	if len(s.Hosts.entries) == 0 {
		l.warn("%s is an empty list: every request but the health checks will be refused.", varAllowedHosts)
	}
	if s.Hosts.anyHost && s.AppURL == "" && !l.bad(varAppURL) {
		l.warn("%s is * and %s is not set: links in mail can not be made, because their host could be forged.", varAllowedHosts, varAppURL)
	}
}

// listenRule warns of a development server that the network can reach.
func (l *loader) listenRule() {
	s := l.server
	if !s.Debug || l.bad(varListen) {
		return
	}
	if host, _, err := net.SplitHostPort(s.ListenAddress); err == nil && !isLoopback(host) {
		l.warn("DEBUG=True and listening on %s: a development server must not be reachable from the network. Set DEBUG=False, or listen on 127.0.0.1.", s.ListenAddress)
	}
}

func (l *loader) appURLRule() {
	if s := l.server; !s.Debug && strings.HasPrefix(s.AppURL, "http://") {
		l.warn("%s begins with http://: links and single sign-on will not be encrypted.", varAppURL)
	}
}

func (l *loader) databaseRule() {
	if o := &l.server.Database.Options; !o.ConnMaxAgeSet {
		o.ConnMaxAge = l.connMaxAge
	}
}

// securityRule forces what production does not leave open.
func (l *loader) securityRule() {
	s := l.server
	if !s.Debug {
		l.force(varSessionSecure, &s.Security.SessionCookieSecure, "DEBUG=False")
		l.force(varCSRFSecure, &s.Security.CSRFCookieSecure, "DEBUG=False")
		if !s.Security.SSLRedirect && !l.bad(varSSLRedirect) {
			l.warn("%s=False: pages are served over plain http, but browsers send the cookies over https only, so signing in works only behind a proxy that speaks https and sends X-Forwarded-Proto.", varSSLRedirect)
		}
		if s.Security.HSTSPreload && s.Security.HSTSSeconds > 0 && s.Security.HSTSSeconds < preloadSeconds && l.explicit(varHSTSPreload) {
			l.warn("%s=True, but browsers' preload lists want %s to be at least %d.", varHSTSPreload, varHSTSSeconds, preloadSeconds)
		}
	}
	l.force(varNosniff, &s.Security.ContentTypeNosniff, "always")
	s.Security.TrustedProxies.ForwardedFor = l.explicit(varTrustedProxies)
	for _, p := range s.Security.TrustedProxies.Prefixes {
		if p.Bits() == 0 {
			l.warn("%s holds %s: everybody can forge the address he comes from.", varTrustedProxies, p)
		}
	}
}

// preloadSeconds is what the browsers' preload lists ask for: one year.
const preloadSeconds = 31536000

// force sets a value that can not be lowered.
func (l *loader) force(name string, value *bool, why string) {
	if *value || l.bad(name) {
		return
	}
	*value = true
	l.warn("%s=False has no effect.", name)
	l.valueSources[name] = "forced (" + why + ")"
}

func (l *loader) originsRule() {
	s := l.server
	if !l.explicit(varCSRFOrigins) {
		s.Security.CSRFTrustedOrigins = s.Security.CORSAllowedOrigins
		if l.explicit(varCORSOrigins) {
			l.valueSources[varCSRFOrigins] = varCORSOrigins
		}
	}
	s.Security.CSRFTrustedOrigins = s.Security.CSRFTrustedOrigins.With(s.AppURL)
}

// oidcRule decides whether single sign-on is on.
func (l *loader) oidcRule() {
	o := &l.server.OIDC
	o.Switch = l.oidcEnable
	var missing []string
	for _, field := range []struct{ name, text string }{
		{varOIDCClientID, o.ClientID},
		{varOIDCAuthorization, o.AuthorizationEndpoint},
		{varOIDCToken, o.TokenEndpoint},
		{varOIDCUserinfo, o.UserinfoEndpoint},
	} {
		if field.text == "" {
			missing = append(missing, field.name)
		}
	}
	wanted := l.oidcEnable == nil || *l.oidcEnable
	o.Enabled = wanted && len(missing) == 0
	if l.oidcEnable != nil && *l.oidcEnable && len(missing) > 0 {
		o.Missing = missing
		l.warn("%s=True, but %s is not set: single sign-on stays off.", varOIDCEnable, strings.Join(missing, ", "))
	}
	if o.RedirectURI == "" && l.server.AppURL != "" {
		o.RedirectURI = l.server.AppURL + OIDCCallbackPath
		l.valueSources[varOIDCRedirect] = varAppURL
	}
}

// mailRule settles backend, encryption and sender.
func (l *loader) mailRule() {
	m := &l.server.Mail
	l.mailBackendRule(m)
	tls := l.mailTLS == nil && !l.mailSSL || l.mailTLS != nil && *l.mailTLS
	switch {
	case tls && l.mailSSL:
		l.fail(varEmailTLS, "is True and so is %s; only one of them can be: EMAIL_USE_SSL for port 465, EMAIL_USE_TLS for the others", varEmailSSL)
	case l.mailSSL:
		m.TLS = MailTLSImplicit
	case tls:
		m.TLS = MailTLSStart
	default:
		m.TLS = MailTLSNone
	}
	if (m.User == "") != !m.Password.IsSet() {
		l.warn("Only one of %s and %s is set: mail is sent without signing in.", varEmailUser, varEmailPassword)
	}
	l.plainMailRule(m)
	if m.From.Address == "" {
		m.From.Name, m.From.Address = "Heartlock", "noreply@"+l.mailDomain()
	}
}

// plainMailRule warns of mail that everybody on its way can read.
func (l *loader) plainMailRule(m *Mail) {
	switch {
	case m.TLS != MailTLSNone || m.Backend != MailSMTP || isLoopback(m.Host):
	case m.User != "" && m.Password.IsSet():
		l.warn("%s=False: the mail password is not sent over an unencrypted connection, so signing in at %s will fail and no mail is sent.", varEmailTLS, m.Host)
	default:
		l.warn("%s=False: mail goes to %s unencrypted, with the links of invitations and new passwords in it.", varEmailTLS, m.Host)
	}
}

// mailBackendRule: an explicit backend counts before EMAIL_HOST.
func (l *loader) mailBackendRule(m *Mail) {
	switch {
	case m.Backend == MailSMTP && m.Host == "" && !l.bad(varEmailHost):
		l.fail(varEmailBackend, "is smtp, but %s is not set", varEmailHost)
	case m.Backend != "":
		if m.Backend == MailConsole && !l.server.Debug {
			l.warn("%s is console with DEBUG=False: invitation links are written to the log.", varEmailBackend)
		}
	case m.Host != "":
		m.Backend = MailSMTP
	case l.server.Debug:
		m.Backend = MailConsole
	default:
		m.Backend = MailDisabled
		l.warn("%s is not set: no mail is sent. (EMAIL_BACKEND=console would write it to the log, invitation links included.)", varEmailHost)
	}
}

// mailDomain is the host of HEARTLOCK_APP_URL when that is a name.
func (l *loader) mailDomain() string {
	_, authority, _ := strings.Cut(l.server.AppURL, "://")
	host, _, ok := SplitHost(authority)
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); !ok || err == nil {
		return "localhost"
	}
	return host
}
