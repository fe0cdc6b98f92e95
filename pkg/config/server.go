package config

import (
	"net/mail"
	"net/netip"
	"time"
)

// Server is every setting of the server, typed and checked. It is a value that
// is loaded once and passed down; nothing in it changes afterwards but the
// encryption key, and that only by [Server.GenerateDevelopmentKey].
type Server struct {
	Root    string // the data root: the directory that relative paths start from; absolute
	DataDir string // Root/heartlock_data; absolute; may not exist yet

	Debug         bool
	ListenAddress string // host:port; the host may be empty (every address)

	SecretKey          Secret   // signs sessions, CSRF tokens and links: derive one key per purpose from it
	SecretKeyFallbacks []Secret // older ones that still verify
	SecretKeyInsecure  bool     // the built-in or a weak key; only ever true with Debug

	AppURL            string     // public origin, normalised ("https://secrets.example.com"); "" when unset
	Hosts             HostPolicy // ALLOWED_HOSTS
	DisableOnboarding bool
	InviteExpiry      time.Duration // whole days

	Database      DatabaseURL
	EncryptionKey EncryptionKey
	Backup        Backup
	History       History
	AuditDays     int    // how long an event of the audit trail is kept; 0: for ever
	SecondFactor  string // whose account must have one: one of the constants
	Security      Security
	OIDC          OIDC
	Mail          Mail
	Static        Static

	Warnings []string // sentences for the log at start; never a secret

	// again loads it anew, with other managed settings. It is a function, because
	// the options that it was loaded with may hold an environment with secrets.
	again    func(Managed) (*Server, error)
	settings []Setting // what Settings returns
	envFile  string    // the .env file that was read; "" when there was none
}

// Whose account must have a second factor.
const (
	SecondFactorNone       = "none"
	SecondFactorSuperusers = "superusers"
	SecondFactorEveryone   = "everyone"
)

// History says how much of the history of secrets is kept; 0 keeps all.
type History struct {
	Versions int // former versions of a secret
	Days     int // after a version was replaced or deleted
}

// Backup is the schedule of the backups that the server makes by itself.
type Backup struct {
	Dir      string // absolute; "" when the schedule is off
	Interval time.Duration
	Keep     int // how many of its own files the schedule keeps
}

// Security is transport security, cookies, proxies and origins.
type Security struct {
	SSLRedirect           bool
	HSTSSeconds           int // 0 = no Strict-Transport-Security header
	HSTSIncludeSubdomains bool
	HSTSPreload           bool
	SessionCookieSecure   bool // always true with DEBUG=False
	CSRFCookieSecure      bool // always true with DEBUG=False
	ContentTypeNosniff    bool // always true

	TrustedProxies TrustedProxies

	CORSAllowedOrigins Origins
	CSRFTrustedOrigins Origins // with the fallback to CORSAllowedOrigins, and always with AppURL's origin
}

// TrustedProxies says whose forwarding headers are believed.
type TrustedProxies struct {
	Prefixes []netip.Prefix
	// ForwardedFor is whether X-Forwarded-For is read at all: only once
	// HEARTLOCK_TRUSTED_PROXIES is set. X-Forwarded-Proto is read from the
	// prefixes in any case.
	ForwardedFor bool
}

// Trusts reports whether addr is one of the proxies. An IPv4 address inside an
// IPv6 one counts as the IPv4 address; a zone is ignored.
func (t TrustedProxies) Trusts(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range t.Prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// OIDC is single sign-on.
type OIDC struct {
	Enabled bool     // switched on and complete
	Missing []string // OIDC_ENABLE=True, but these variables are unset; Enabled is then false
	Switch  *bool    // OIDC_ENABLE; nil when unset

	Issuer                string // optional: with it ID tokens are verified
	ClientID              string
	ClientSecret          Secret // may be unset: a public client with PKCE
	AuthorizationEndpoint string // may have a query, which the request's parameters join
	TokenEndpoint         string
	UserinfoEndpoint      string
	EndSessionEndpoint    string // optional
	Scopes                []string
	RedirectURI           string // "" = OIDCCallbackPath at the request's allowed host
	CreateUnknownUser     bool
}

// OIDCCallbackPath is the path that an identity provider sends the browser back to.
const OIDCCallbackPath = "/oidc/callback/"

// MailBackend is where mail goes.
type MailBackend string

// The backends of EMAIL_BACKEND. MailDisabled has no name that can be set: it is
// what a production server without EMAIL_HOST gets, because printing invitation
// links to the log would leak them.
const (
	MailConsole  MailBackend = "console"   // written to the log
	MailSMTP     MailBackend = "smtp"      //
	MailDummy    MailBackend = "dummy"     // accepted and dropped
	MailFile     MailBackend = "filebased" // one file for each message
	MailMemory   MailBackend = "locmem"    // kept in memory, for tests
	MailDisabled MailBackend = "disabled"  // refused with an explanation
)

// MailTLS is how the connection to the SMTP server is protected.
type MailTLS string

// The kinds of protection. STARTTLS is required where chosen: a server that does
// not offer it gets no mail.
const (
	MailTLSNone     MailTLS = "none"
	MailTLSStart    MailTLS = "starttls"
	MailTLSImplicit MailTLS = "tls"
)

// Mail is the outgoing mail.
type Mail struct {
	Backend  MailBackend
	Host     string
	Port     int
	User     string // User and Password are used only when both are set
	Password Secret
	TLS      MailTLS
	Timeout  time.Duration // for the dial, the handshake and each command
	From     mail.Address
}

// Static is where the pages find their files.
type Static struct {
	URL  string // ends in "/"
	Root string // absolute
}
