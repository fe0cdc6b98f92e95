package config

import (
	"time"
)

// The names of the settings that rules and messages speak of.
const (
	varDebug             = "DEBUG"
	varSecretKey         = "SECRET_KEY"
	varSecretFallbacks   = "SECRET_KEY_FALLBACKS"
	varListen            = "HEARTLOCK_LISTEN"
	varAllowedHosts      = "ALLOWED_HOSTS"
	varAppURL            = "HEARTLOCK_APP_URL"
	varDatabaseURL       = "DATABASE_URL"
	varConnMaxAge        = "DB_CONN_MAX_AGE"
	varEncryptionKey     = "HEARTLOCK_ENCRYPTION_KEY"
	varTrustedProxies    = "HEARTLOCK_TRUSTED_PROXIES"
	varSSLRedirect       = "SECURE_SSL_REDIRECT"
	varHSTSSeconds       = "SECURE_HSTS_SECONDS"
	varHSTSSubdomains    = "SECURE_HSTS_INCLUDE_SUBDOMAINS"
	varHSTSPreload       = "SECURE_HSTS_PRELOAD"
	varSessionSecure     = "SESSION_COOKIE_SECURE"
	varCSRFSecure        = "CSRF_COOKIE_SECURE"
	varNosniff           = "SECURE_CONTENT_TYPE_NOSNIFF"
	varCORSOrigins       = "CORS_ALLOWED_ORIGINS"
	varCSRFOrigins       = "CSRF_TRUSTED_ORIGINS"
	varHistoryVersions   = "HEARTLOCK_HISTORY_VERSIONS"
	varHistoryDays       = "HEARTLOCK_HISTORY_DAYS"
	varSecondFactor      = "HEARTLOCK_REQUIRE_SECOND_FACTOR"
	varOIDCEnable        = "OIDC_ENABLE"
	varOIDCClientID      = "OIDC_CLIENT_ID"
	varOIDCAuthorization = "OIDC_AUTHORIZATION_ENDPOINT"
	varOIDCToken         = "OIDC_TOKEN_ENDPOINT"
	varOIDCUserinfo      = "OIDC_USERINFO_ENDPOINT"
	varOIDCRedirect      = "OIDC_REDIRECT_URI"
	varEmailBackend      = "EMAIL_BACKEND"
	varEmailHost         = "EMAIL_HOST"
	varEmailUser         = "EMAIL_HOST_USER"
	varEmailPassword     = "EMAIL_HOST_PASSWORD"
	varEmailTLS          = "EMAIL_USE_TLS"
	varEmailSSL          = "EMAIL_USE_SSL"
	varEmailFrom         = "DEFAULT_FROM_EMAIL"
)

// The groups, in the order of the documentation.
const (
	groupCore     = "Core"
	groupDatabase = "Database and encryption"
	groupSecurity = "Transport security and proxies"
	groupOrigins  = "CORS and CSRF"
	groupOIDC     = "Single sign-on (OIDC)"
	groupMail     = "Mail"
	groupStatic   = "Static files"
)

// insecureSecretKey is the built-in SECRET_KEY. Everybody knows it, so it serves
// only with DEBUG=True.
const insecureSecretKey = "django-insecure-dev-key-change-me-in-production"

// maxConnAgeSeconds is one day.
const maxConnAgeSeconds = 86400

const (
	kindBool    = "true or false"
	kindNumber  = "number"
	kindList    = "comma-separated list"
	kindText    = "text"
	kindURL     = "URL"
	kindSeconds = "seconds"
)

// Definitions is the table of all settings of the server, in the order in which
// they are read: DEBUG comes first, because others depend on it.
func Definitions() []Definition {
	var all []Definition
	for _, group := range []struct {
		name    string
		members []Definition
	}{
		{groupCore, coreSettings()},
		{groupDatabase, databaseSettings()},
		{groupSecurity, securitySettings()},
		{groupOrigins, originSettings()},
		{groupOIDC, oidcSettings()},
		{groupMail, mailSettings()},
		{groupStatic, staticSettings()},
	} {
		for _, d := range group.members {
			d.Group = group.name
			all = append(all, d)
		}
	}
	return all
}

func coreSettings() []Definition {
	return []Definition{
		{
			Name: varDebug, Kind: kindBool, Default: "True",
			Doc:  "Development mode: a key file is generated, mail goes to the log and plain http is served; production sets it to False.",
			read: boolean(func(l *loader) *bool { return &l.server.Debug }),
		},
		{
			Name: varSecretKey, Kind: kindText, Default: insecureSecretKey, Secret: true,
			Doc:  "Signs sessions, CSRF tokens and links: at least 50 random characters, required with DEBUG=False; changing it ends all sessions and nothing else.",
			read: secretText(func(s *Server) *Secret { return &s.SecretKey }),
		},
		{
			Name: varSecretFallbacks, Kind: kindList, Secret: true,
			Doc:  "Former values of SECRET_KEY that are still accepted, so that changing it does not end sessions at once.",
			read: readSecretFallbacks,
		},
		{
			Name: varAllowedHosts, Kind: kindList, Default: "localhost,127.0.0.1,0.0.0.0,[::1]",
			Doc:  "The host names that requests may be addressed to; a leading dot includes everything below a name, and * is every host.",
			read: list(readAllowedHosts), show: showList(func(s *Server) []string { return s.Hosts.Entries() }),
		},
		{
			Name: varListen, Kind: "host:port", Default: "0.0.0.0:8082", DebugDefault: "127.0.0.1:8082",
			Doc:  "The address that the server listens on; the flag --listen says the same.",
			read: readListen,
		},
		{
			Name: varAppURL, Kind: kindURL, Managed: "app_url",
			Doc:  "The public base URL, such as https://secrets.example.com, for links in mail and for single sign-on; without it, links use a host that ALLOWED_HOSTS names exactly.",
			read: readAppURL, show: func(s *Server) string { return s.AppURL },
		},
		{
			Name: "HEARTLOCK_DISABLE_ONBOARDING", Kind: kindBool, Default: "False",
			Doc:  "Switches the first-run wizard off; `heartlock onboard --force` on the server still works.",
			read: boolean(func(l *loader) *bool { return &l.server.DisableOnboarding }),
		},
		{
			Name: "HEARTLOCK_INVITE_EXPIRY_DAYS", Kind: kindNumber, Default: "7",
			Doc:  "How many days an invitation to a project can be accepted, from 1 to 365; a change does not touch invitations already sent.",
			read: integer(1, 365, func(l *loader, n int) { l.server.InviteExpiry = time.Duration(n) * 24 * time.Hour }),
		},
	}
}

func databaseSettings() []Definition {
	return []Definition{
		{
			Name: varDatabaseURL, Kind: kindURL, Default: "sqlite:///" + DataDirName + "/db.sqlite3", Secret: true, Managed: "database_url",
			Doc:  "The database: sqlite:///path below the working directory, sqlite:////absolute/path, or postgres://user:password@host:5432/name.",
			read: readDatabaseURL, show: func(s *Server) string { return s.Database.String() },
		},
		{
			Name: varConnMaxAge, Kind: kindSeconds, Default: "60",
			Doc:  "How long a PostgreSQL connection is kept, in seconds; 0 means a new one for every use, and CONN_MAX_AGE in the URL comes first.",
			read: integer(0, maxConnAgeSeconds, func(l *loader, n int) { l.connMaxAge = time.Duration(n) * time.Second }),
		},
		{
			Name: varEncryptionKey, Kind: "key", Secret: true, Managed: "encryption_key",
			Doc:  "The key that secret values are encrypted with, as `heartlock genkey` prints it; in a comma-separated list the first encrypts and all decrypt; without it the values are lost.",
			read: readEncryptionKey,
		},
		{
			Name: varSecondFactor, Kind: "who", Default: SecondFactorNone,
			Doc:  "Whose account must have a second factor: none, superusers or everyone; such an account can do nothing before it has one, but for one that signs in through the identity provider.",
			read: readSecondFactor,
		},
		{
			Name: varHistoryVersions, Kind: kindNumber, Default: "0",
			Doc:  "How many former versions of each secret are kept; 0 keeps all; the present value is never removed, and a deleted secret can be brought back until its last value goes.",
			read: integer(0, 1_000_000, func(l *loader, n int) { l.server.History.Versions = n }),
		},
		{
			Name: varHistoryDays, Kind: kindNumber, Default: "0",
			Doc:  "How many days a former version is kept after it was replaced or deleted; 0 keeps it for ever.",
			read: integer(0, 36_500, func(l *loader, n int) { l.server.History.Days = n }),
		},
		{
			Name: "HEARTLOCK_AUDIT_DAYS", Kind: kindNumber, Default: "0",
			Doc:  "How many days an event of the audit trail is kept; 0 keeps it for ever.",
			read: integer(0, 36_500, func(l *loader, n int) { l.server.AuditDays = n }),
		},
		{
			Name: "HEARTLOCK_BACKUP_DIR", Kind: "directory",
			Doc:  "Where the server puts a backup of its own accord, encrypted to the encryption key, each time HEARTLOCK_BACKUP_INTERVAL has passed; unset, it makes none.",
			read: readBackupDir, show: func(s *Server) string { return s.Backup.Dir },
		},
		{
			Name: "HEARTLOCK_BACKUP_INTERVAL", Kind: kindSeconds, Default: "86400",
			Doc:  "How old the newest backup of the schedule may become before the next is made, in seconds, from 60 to 31536000.",
			read: integer(60, 31536000, func(l *loader, n int) { l.server.Backup.Interval = time.Duration(n) * time.Second }),
		},
		{
			Name: "HEARTLOCK_BACKUP_KEEP", Kind: kindNumber, Default: "7",
			Doc:  "How many backups of the schedule are kept, from 1 to 1000; older ones are removed once a newer one was read back.",
			read: integer(1, 1000, func(l *loader, n int) { l.server.Backup.Keep = n }),
		},
	}
}

func securitySettings() []Definition {
	return []Definition{
		{
			Name: varTrustedProxies, Kind: "list of networks", Default: "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7",
			Doc:  "The reverse proxies whose X-Forwarded-Proto is believed; only once it is set, their X-Forwarded-For is believed too.",
			read: list(readTrustedProxies),
		},
		{
			Name: varSSLRedirect, Kind: kindBool, Default: "True", DebugDefault: "False",
			Doc:  "Sends browsers from http to https and refuses API calls over http.",
			read: boolean(func(l *loader) *bool { return &l.server.Security.SSLRedirect }),
		},
		{
			Name: varHSTSSeconds, Kind: kindSeconds, Default: "2592000", DebugDefault: "0",
			Doc:  "How long browsers insist on https (Strict-Transport-Security), in seconds; 0 sends no such header.",
			read: integer(0, 63072000*5, func(l *loader, n int) { l.server.Security.HSTSSeconds = n }),
		},
		{
			Name: varHSTSSubdomains, Kind: kindBool, Default: "True",
			Doc:  "Whether Strict-Transport-Security includes every host below this one, other services there included.",
			read: boolean(func(l *loader) *bool { return &l.server.Security.HSTSIncludeSubdomains }),
		},
		{
			Name: varHSTSPreload, Kind: kindBool, Default: "True",
			Doc:  "Whether Strict-Transport-Security consents to the browsers' preload lists, which want at least 31536000 seconds.",
			read: boolean(func(l *loader) *bool { return &l.server.Security.HSTSPreload }),
		},
		{
			Name: varSessionSecure, Kind: kindBool, Default: "True", DebugDefault: "False",
			Doc:  "Whether the session cookie is sent over https only; always True with DEBUG=False.",
			read: boolean(func(l *loader) *bool { return &l.server.Security.SessionCookieSecure }),
			show: showBool(func(s *Server) bool { return s.Security.SessionCookieSecure }),
		},
		{
			Name: varCSRFSecure, Kind: kindBool, Default: "True", DebugDefault: "False",
			Doc:  "Whether the CSRF cookie is sent over https only; always True with DEBUG=False.",
			read: boolean(func(l *loader) *bool { return &l.server.Security.CSRFCookieSecure }),
			show: showBool(func(s *Server) bool { return s.Security.CSRFCookieSecure }),
		},
		{
			Name: varNosniff, Kind: kindBool, Default: "True",
			Doc:  "Whether X-Content-Type-Options: nosniff is sent; it always is.",
			read: boolean(func(l *loader) *bool { return &l.server.Security.ContentTypeNosniff }),
			show: showBool(func(s *Server) bool { return s.Security.ContentTypeNosniff }),
		},
	}
}

func originSettings() []Definition {
	return []Definition{
		{
			Name: varCORSOrigins, Kind: kindList,
			Doc:  "The origins, such as https://app.example.com, whose pages may call the API from a browser.",
			read: list(readCORSOrigins), show: showList(func(s *Server) []string { return s.Security.CORSAllowedOrigins.List() }),
		},
		{
			Name: varCSRFOrigins, Kind: kindList,
			Doc:  "The origins whose pages may send changes with a browser session; CORS_ALLOWED_ORIGINS when unset, and always the origin of HEARTLOCK_APP_URL.",
			read: list(readCSRFOrigins), show: showList(func(s *Server) []string { return s.Security.CSRFTrustedOrigins.List() }),
		},
	}
}

func oidcSettings() []Definition {
	text := func(field func(*OIDC) *string) reader {
		return plainText(func(s *Server) *string { return field(&s.OIDC) })
	}
	return []Definition{
		{
			Name: varOIDCEnable, Kind: kindBool, Managed: "oidc.enable",
			Doc:  "Switches single sign-on off (False); when unset, it is on as soon as the client ID and the three endpoints are set.",
			read: triState(func(l *loader) **bool { return &l.oidcEnable }), show: showBool(func(s *Server) bool { return s.OIDC.Enabled }),
		},
		{
			Name: "OIDC_ISSUER", Kind: kindURL, Managed: "oidc.issuer",
			Doc:  "The identity provider's issuer URL; with it, ID tokens are verified too.",
			read: endpoint(func(o *OIDC) *string { return &o.Issuer }, false),
		},
		{
			Name: varOIDCClientID, Aliases: []string{"OIDC_RP_CLIENT_ID"}, Kind: kindText, Managed: "oidc.client_id",
			Doc:  "The client ID at the identity provider.",
			read: text(func(o *OIDC) *string { return &o.ClientID }),
		},
		{
			Name: "OIDC_CLIENT_SECRET", Aliases: []string{"OIDC_RP_CLIENT_SECRET"}, Kind: kindText, Secret: true, Managed: "oidc.client_secret",
			Doc:  "The client secret; empty for a public client, which PKCE protects.",
			read: secretText(func(s *Server) *Secret { return &s.OIDC.ClientSecret }),
		},
		{
			Name: varOIDCAuthorization, Aliases: []string{"OIDC_OP_AUTHORIZATION_ENDPOINT"}, Kind: kindURL, Managed: "oidc.authorization_endpoint",
			Doc:  "The identity provider's page that people sign in on; it may have a query.",
			read: endpoint(func(o *OIDC) *string { return &o.AuthorizationEndpoint }, true),
		},
		{
			Name: varOIDCToken, Aliases: []string{"OIDC_OP_TOKEN_ENDPOINT"}, Kind: kindURL, Managed: "oidc.token_endpoint",
			Doc:  "Where the code is exchanged for a token.",
			read: endpoint(func(o *OIDC) *string { return &o.TokenEndpoint }, false),
		},
		{
			Name: varOIDCUserinfo, Aliases: []string{"OIDC_OP_USERINFO_ENDPOINT", "OIDC_OP_USER_ENDPOINT"}, Kind: kindURL, Managed: "oidc.userinfo_endpoint",
			Doc:  "Where the person's address and name are read.",
			read: endpoint(func(o *OIDC) *string { return &o.UserinfoEndpoint }, false),
		},
		{
			Name: "OIDC_SCOPES", Aliases: []string{"OIDC_RP_SCOPES"}, Kind: "space-separated list", Default: "openid email profile", Managed: "oidc.scopes",
			Doc:  "The scopes to ask for, separated by spaces, openid among them.",
			read: readScopes,
		},
		{
			Name: "OIDC_END_SESSION_ENDPOINT", Kind: kindURL, Managed: "oidc.end_session_endpoint",
			Doc:  "Where the browser goes after signing out, to sign out at the identity provider as well.",
			read: endpoint(func(o *OIDC) *string { return &o.EndSessionEndpoint }, true),
		},
		{
			Name: varOIDCRedirect, Kind: kindURL, Managed: "oidc.redirect_uri",
			Doc:  "The callback URL that is registered at the identity provider; by default HEARTLOCK_APP_URL followed by " + OIDCCallbackPath + ".",
			read: readRedirectURI, show: func(s *Server) string { return s.OIDC.RedirectURI },
		},
		{
			Name: "OIDC_CREATE_UNKNOWN_USER", Kind: kindBool, Default: "True", Managed: "oidc.create_unknown_user",
			Doc:  "Whether somebody unknown who signs in at the identity provider gets an account.",
			read: boolean(func(l *loader) *bool { return &l.server.OIDC.CreateUnknownUser }),
		},
	}
}

func mailSettings() []Definition {
	return []Definition{
		{
			Name: varEmailBackend, Kind: "smtp, console, dummy, filebased or locmem",
			Doc:  "Where mail goes; by default smtp when EMAIL_HOST is set, and else the console with DEBUG=True and nowhere with DEBUG=False; filebased writes files into heartlock_data/mail.",
			read: readMailBackend, show: func(s *Server) string { return string(s.Mail.Backend) },
		},
		{
			Name: varEmailHost, Kind: kindText,
			Doc:  "The SMTP server; setting it switches from the log to SMTP.",
			read: readMailHost,
		},
		{
			Name: "EMAIL_PORT", Kind: kindNumber, Default: "587",
			Doc:  "The port of the SMTP server.",
			read: integer(1, 65535, func(l *loader, n int) { l.server.Mail.Port = n }),
		},
		{
			Name: varEmailUser, Kind: kindText,
			Doc:  "The user name at the SMTP server; used together with EMAIL_HOST_PASSWORD.",
			read: plainText(func(s *Server) *string { return &s.Mail.User }),
		},
		{
			Name: varEmailPassword, Kind: kindText, Secret: true,
			Doc:  "The password at the SMTP server.",
			read: secretText(func(s *Server) *Secret { return &s.Mail.Password }),
		},
		{
			Name: varEmailTLS, Kind: kindBool,
			Doc:  "Requires STARTTLS, as port 587 offers it; True unless EMAIL_USE_SSL is.",
			read: triState(func(l *loader) **bool { return &l.mailTLS }), show: showBool(func(s *Server) bool { return s.Mail.TLS == MailTLSStart }),
		},
		{
			Name: varEmailSSL, Kind: kindBool, Default: "False",
			Doc:  "Speaks TLS from the first byte, as port 465 expects it.",
			read: boolean(func(l *loader) *bool { return &l.mailSSL }),
		},
		{
			Name: "EMAIL_TIMEOUT", Kind: kindSeconds, Default: "10",
			Doc:  "How long each step of sending a mail may take, from 1 to 120 seconds.",
			read: integer(1, 120, func(l *loader, n int) { l.server.Mail.Timeout = time.Duration(n) * time.Second }),
		},
		{
			Name: varEmailFrom, Kind: "mail address",
			Doc:  "The sender of all mail; by default Heartlock <noreply@HOST> with the host of HEARTLOCK_APP_URL, or localhost.",
			read: readMailFrom, show: func(s *Server) string { return fromText(s.Mail.From) },
		},
	}
}

func staticSettings() []Definition {
	return []Definition{
		{
			Name: "STATIC_URL", Kind: kindText, Default: "static/",
			Doc:  "The path or URL that the pages load their files from; it ends in a slash.",
			read: readStaticURL,
		},
		{
			Name: "STATIC_ROOT", Kind: "directory", Default: "./staticfiles",
			Doc:  "The directory that the pages' files are exported to for a web server.",
			read: plainText(func(s *Server) *string { return &s.Static.Root }), show: func(s *Server) string { return s.Static.Root },
		},
	}
}
