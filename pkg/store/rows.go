package store

import (
	"time"

	"github.com/uptrace/bun"
)

// Micros is a time as it is stored: microseconds since 1970 in UTC. Both
// engines keep it as an integer, so no driver's idea of a time zone or format
// comes in between.
type Micros int64

// MicrosOf is the stored form of t.
func MicrosOf(t time.Time) Micros { return Micros(t.UnixMicro()) }

// Time is m as a time in UTC.
func (m Micros) Time() time.Time { return time.UnixMicro(int64(m)).UTC() }

// OptionalMicros is the stored form of an optional time.
func OptionalMicros(t *time.Time) *Micros {
	if t == nil {
		return nil
	}
	m := MicrosOf(*t)
	return &m
}

// OptionalTime is an optional stored time as a time in UTC.
func OptionalTime(m *Micros) *time.Time {
	if m == nil {
		return nil
	}
	t := m.Time()
	return &t
}

// Actor is who did something, under the name they had then.
type Actor struct {
	Kind string
	ID   string
	Name string
}

// User is a row of users. Email is canonical: see vault.
type User struct {
	bun.BaseModel `bun:"table:users,alias:u"`
	ID            string `bun:",pk"`
	Email         string
	FirstName     string
	LastName      string
	PasswordHash  string
	IsActive      bool
	IsSuperuser   bool
	CreatedAt     Micros
	UpdatedAt     Micros
	LastLoginAt   *Micros
}

// Session is a row of sessions.
type Session struct {
	bun.BaseModel `bun:"table:sessions,alias:s"`
	ID            string `bun:",pk"`
	Digest        []byte
	UserID        string
	CreatedAt     Micros
	LastSeenAt    Micros
	ExpiresAt     Micros
	IP            string `bun:"ip"`
	UserAgent     string
	ByProvider    bool // it began at the identity provider
}

// Project is a row of projects.
type Project struct {
	bun.BaseModel `bun:"table:projects,alias:p"`
	ID            string `bun:",pk"`
	Slug          string
	Name          string
	Description   string
	CreatedAt     Micros
	UpdatedAt     Micros
}

// Membership is a row of memberships.
type Membership struct {
	bun.BaseModel `bun:"table:memberships,alias:m"`
	ProjectID     string `bun:",pk"`
	UserID        string `bun:",pk"`
	Role          string
	CreatedAt     Micros
	// EnvironmentLimits is what he may not do in single environments: see
	// ParseLimits.
	EnvironmentLimits string
}

// Environment is a row of environments.
type Environment struct {
	bun.BaseModel `bun:"table:environments,alias:e"`
	ID            string `bun:",pk"`
	ProjectID     string
	Slug          string
	Name          string
	Position      int
	IsProtected   bool
	Revision      int64
	SecretCount   int
	CreatedAt     Micros
	UpdatedAt     Micros
}

// Secret is a row of secrets: the newest version of one. Sealed is nil if it is
// deleted.
type Secret struct {
	bun.BaseModel  `bun:"table:secrets,alias:s"`
	ID             int64 `bun:",pk,autoincrement"`
	EnvironmentID  string
	Key            string
	Version        int64
	Comment        string
	Sealed         *string
	KeyFingerprint string
	Revision       int64
	CreatedAt      Micros
	UpdatedAt      Micros
	UpdatedBy      Actor `bun:"embed:updated_by_"`
}

// SecretVersion is a row of secret_versions: a former version of a secret.
type SecretVersion struct {
	bun.BaseModel  `bun:"table:secret_versions,alias:v"`
	SecretID       int64 `bun:",pk"`
	Version        int64 `bun:",pk"`
	Key            string
	Comment        string
	Sealed         *string
	KeyFingerprint string
	Revision       int64
	UpdatedAt      Micros
	UpdatedBy      Actor `bun:"embed:updated_by_"`
}

// Token is a row of tokens: a personal token has a UserID, a service token a
// ProjectID.
type Token struct {
	bun.BaseModel `bun:"table:tokens,alias:t"`
	ID            string `bun:",pk"`
	Digest        []byte
	Prefix        string
	Name          string
	UserID        *string
	ProjectID     *string
	Access        string
	AllowedCIDRs  string `bun:"allowed_cidrs"`
	CreatedAt     Micros
	CreatedBy     Actor `bun:"embed:created_by_"`
	ExpiresAt     *Micros
	LastUsedAt    *Micros
	LastUsedIP    string `bun:"last_used_ip"`
	ExposedAt     *Micros
	ExpiryToldAt  *Micros // when the person behind it was told that it expires soon
}

// AuditEvent is a row of audit_events. Detail is a JSON object or empty.
type AuditEvent struct {
	bun.BaseModel   `bun:"table:audit_events,alias:a"`
	ID              int64 `bun:",pk,autoincrement"`
	At              Micros
	Actor           Actor `bun:"embed:actor_"`
	Action          string
	Outcome         string
	ProjectID       string
	EnvironmentName string
	Target          string
	Detail          string
	IP              string `bun:"ip"`
	UserAgent       string
	RequestID       string
	Credential      string // that the actor came with: "session:<id>" or "token:<id>"
	MAC             []byte `bun:"mac"` // see AuditChain
}

// EncryptionKey is a row of encryption_keys.
type EncryptionKey struct {
	bun.BaseModel `bun:"table:encryption_keys,alias:k"`
	Fingerprint   string `bun:",pk"`
	CheckToken    string
	CreatedAt     Micros
	IsSealing     bool    // new values are sealed with it: exactly one is
	RetiredAt     *Micros // nothing is sealed with it any more
	ExportedAt    *Micros // when a person was last given it
}

// KeyRotation is the row of key_rotation: the rotation that is under way.
type KeyRotation struct {
	bun.BaseModel   `bun:"table:key_rotation,alias:r"`
	ID              int64 `bun:",pk"` // 1
	FromFingerprint string
	ToFingerprint   string
	IsUndo          bool
	StartedAt       Micros
	VerifiedAt      *Micros // everything was found to be under the new key and to open
}

// Server is a row of servers: a running server, by what it said of itself.
type Server struct {
	bun.BaseModel    `bun:"table:servers,alias:sv"`
	ID               string `bun:",pk"`
	Host             string
	Version          string
	KeyFingerprints  string // separated by commas
	ConfigGeneration string
	// SettingsGeneration is that of Settings which it goes by; 0: none. It is not
	// read with the row: see SettingsGenerations.
	SettingsGeneration int64 `bun:"-"`
	StartedAt          Micros
	SeenAt             Micros // by the database's clock
}

// IdempotencyKey is a row of idempotency_keys.
type IdempotencyKey struct {
	bun.BaseModel  `bun:"table:idempotency_keys,alias:i"`
	Owner          string `bun:",pk"`
	Key            string `bun:",pk"`
	RequestDigest  []byte
	Sealed         string
	KeyFingerprint string
	CreatedAt      Micros
}

// AuditChain is the row of audit_chain: the chain that the audit events form.
// The MAC of an event is over the event, its id and the MAC before it; from
// FirstID on there is one for every id.
type AuditChain struct {
	bun.BaseModel  `bun:"table:audit_chain,alias:ac"`
	ID             int64 `bun:",pk"` // 1
	FirstID        int64
	FirstMAC       []byte `bun:"first_mac"` // the one before FirstID
	LastID         int64
	LastMAC        []byte  `bun:"last_mac"`
	HeadMAC        []byte  `bun:"head_mac"` // over the four above
	Sealed         *string // the key of the MACs; nil: 32 zero bytes, as no encryption key is configured yet
	KeyFingerprint string
}

// Invitation is a row of invitations.
type Invitation struct {
	bun.BaseModel     `bun:"table:invitations,alias:iv"`
	ID                string `bun:",pk"`
	ProjectID         string
	Email             string // canonical
	Role              string
	EnvironmentLimits string
	Digest            []byte // of the token of the newest link that its sender sees
	MailedDigest      []byte // of the one in the mail; nil: mail reaches nobody
	InvitedBy         string // a user's id
	CreatedAt         Micros
	SentAt            Micros // when its newest link was made
	ExpiresAt         Micros
	AcceptedAt        *Micros
	RevokedAt         *Micros
}

// Identity is a row of identities: who a provider says that a user is.
type Identity struct {
	bun.BaseModel `bun:"table:identities,alias:iy"`
	Provider      string `bun:",pk"`
	Subject       string `bun:",pk"`
	UserID        string
	Email         string
	CreatedAt     Micros
	LastLoginAt   *Micros
}

// SignInAttempt is a row of sign_in_attempts: a browser that is away at the
// identity provider.
type SignInAttempt struct {
	bun.BaseModel `bun:"table:sign_in_attempts,alias:sa"`
	StateDigest   []byte `bun:",pk"`
	BrowserDigest []byte
	UserID        *string // who links an identity to his account
	Next          string
	CreatedAt     Micros
}

// PasswordReset is a row of password_resets: the one valid link of a user.
type PasswordReset struct {
	bun.BaseModel `bun:"table:password_resets,alias:pr"`
	UserID        string `bun:",pk"`
	Digest        []byte
	CreatedAt     Micros
	ExpiresAt     Micros
}

// SecondFactor is a row of second_factors.
type SecondFactor struct {
	bun.BaseModel  `bun:"table:second_factors,alias:sf"`
	UserID         string `bun:",pk"`
	Sealed         string
	KeyFingerprint string
	CreatedAt      Micros
	ConfirmedAt    *Micros // nil: being set up
	LastStep       int64   // of the last code that was accepted
}

// RecoveryCode is a row of recovery_codes.
type RecoveryCode struct {
	bun.BaseModel `bun:"table:recovery_codes,alias:rc"`
	UserID        string `bun:",pk"`
	Digest        []byte `bun:",pk"`
	UsedAt        *Micros
}

// QueuedMail is a row of mail_queue. Sealed is nil once it was sent or given up.
type QueuedMail struct {
	bun.BaseModel  `bun:"table:mail_queue,alias:mq"`
	ID             string `bun:",pk"`
	Kind           string
	Recipient      string
	Sealed         *string
	KeyFingerprint string
	CreatedAt      Micros
	NextAttemptAt  Micros
	Attempts       int
	LastError      string
	SentAt         *Micros
	GivenUpAt      *Micros
}

// Settings is the row of settings: what administrators change while servers run.
type Settings struct {
	bun.BaseModel  `bun:"table:settings,alias:st"`
	ID             int64 `bun:",pk"` // 1
	Generation     int64
	Sealed         string
	KeyFingerprint string
	UpdatedAt      Micros
}

// CLILogin is a row of cli_logins: a code that a browser takes to the command line.
type CLILogin struct {
	bun.BaseModel `bun:"table:cli_logins,alias:cl"`
	Digest        []byte `bun:",pk"`
	UserID        string
	SessionID     string // in which he has agreed
	CodeChallenge string
	Machine       string // may be empty
	LifetimeDays  int
	CreatedAt     Micros
	ExpiresAt     Micros
}

// The states of a DeviceLogin.
const (
	DevicePending  = "pending"
	DeviceApproved = "approved"
	DeviceDenied   = "denied"
)

// DeviceLogin is a row of device_logins: a command line that waits for a person, or
// for what he has decided.
type DeviceLogin struct {
	bun.BaseModel  `bun:"table:device_logins,alias:dl"`
	DeviceDigest   []byte `bun:",pk"`
	UserCodeDigest []byte
	Machine        string // may be empty
	IP             string `bun:"ip"`
	UserAgent      string
	State          string
	UserID         *string // who has approved it
	SessionID      *string // in which session
	LifetimeDays   int
	CreatedAt      Micros
	ExpiresAt      Micros
	LastPollAt     *Micros
}
