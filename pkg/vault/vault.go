// Package vault is the domain of Heartlock: accounts, projects, environments,
// secrets, tokens, the first run and the audit trail.
//
// # The rules of the house
//
// Every operation takes the [Principal] first, asks the one policy table
// (policy.go) whether he may, and loads what it needs by a query that is scoped
// to him: what he can not see does not exist (fault.NotFound), what he sees but
// may not do is fault.Forbidden.
//
// Every change and its audit event are one transaction. A secret's value is not
// returned before the event of its reading is durable; if it can not be
// recorded, the value is not returned.
//
// # Keys
//
// Values are sealed with the vault's ring of encryption keys (see keyring) and
// stored as plain Fernet tokens of their UTF-8 bytes, beside the fingerprint of
// the key. The database lists the keys under which something may be sealed, and
// says which of them seals; a vault whose ring lacks one of them is not opened,
// and one that lacks the key that seals since then answers fault.Unavailable. A vault without a ring
// answers fault.Unavailable to everything that would need one.
//
// Errors are of package fault. Nothing here logs; causes travel in the errors.
package vault

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// Options is what a Vault is made of.
type Options struct {
	Store *store.Store
	// Recorder writes the audit events of reads; it belongs to Store.
	Recorder *store.Recorder
	// Ring seals and opens values; nil while no key is configured.
	Ring *keyring.Ring
	// KeyEntry says what may be changed of what the database knows of its keys.
	KeyEntry KeyEntry
	// SessionKeys are the keys under which the digests of session tokens, and of
	// requests that can be repeated, are made; the first is used for new ones. At
	// least one.
	SessionKeys [][]byte
	// Retention says how long Maintain leaves former versions of secrets.
	Retention Retention
	// AuditAge is how long Maintain leaves events of the audit trail; 0: for ever.
	AuditAge time.Duration
	// AppURL is the server's public address, without a slash at its end; empty if
	// it is not configured. Links are built from it.
	AppURL string
	// InviteExpiry is how long an invitation can be accepted after its newest link
	// was made; 0 is a week.
	InviteExpiry time.Duration
	// SSOEnabled says at each moment whether single sign-on is on; nil: it is not.
	SSOEnabled func() bool
	// SSOKeys are the keys under which sign-ins at the identity provider are
	// begun; the first is used for new ones. Without one there is no single sign-on.
	SSOKeys [][]byte
	// SecondFactor says whose account must have a second factor; empty is nobody's.
	SecondFactor SecondFactorDemand
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Vault is the domain over one database. Make one with New; it is safe for
// concurrent use.
type Vault struct {
	store        *store.Store
	recorder     *store.Recorder
	ring         atomic.Pointer[keyring.Ring]
	keyEntry     KeyEntry
	sessionKeys  [][]byte
	appURL       atomic.Pointer[string]
	inviteExpiry time.Duration
	ssoEnabled   func() bool
	ssoKeys      [][]byte
	retention    Retention
	auditAge     time.Duration
	post         atomic.Pointer[post]
	now          func() time.Time
	hasher       *hasher
	factorDemand SecondFactorDemand // whose account must have a second factor
	onboarded    atomic.Bool        // once true it stays so; false means: look
}

// New makes a vault over a migrated database. If there is a ring, its keys are
// checked against the database first: see [CheckKeys].
func New(ctx context.Context, o Options) (*Vault, error) {
	v := &Vault{
		store: o.Store, recorder: o.Recorder,
		sessionKeys: o.SessionKeys, ssoEnabled: o.SSOEnabled, ssoKeys: o.SSOKeys, retention: o.Retention, auditAge: o.AuditAge, now: o.Now, hasher: newHasher(),
	}
	v.ring.Store(o.Ring)
	v.factorDemand = o.SecondFactor
	v.UseAppURL(o.AppURL)
	v.keyEntry = o.KeyEntry
	v.inviteExpiry = cmp.Or(o.InviteExpiry, 7*24*time.Hour)
	if v.now == nil {
		v.now = time.Now
	}
	v.UseMailer(&mail.Mailer{Sender: mail.Disabled{}}, func() {})
	if v.ssoEnabled == nil {
		v.ssoEnabled = func() bool { return false }
	}
	if len(v.sessionKeys) == 0 {
		return nil, fault.New(fault.Internal, "a vault needs a session key")
	}
	v.store.KeepChain(newChainKeeper(v.currentRing, v.now))
	if err := v.enterKeys(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

// Ready reports what keeps the vault from working, or nil: the database must
// answer.
func (v *Vault) Ready(ctx context.Context) error { return v.store.Ping(ctx) }

// Fingerprint is that of the first configured key, or "".
func (v *Vault) Fingerprint() string {
	if ring := v.currentRing(); ring != nil {
		return ring.SealFingerprint()
	}
	return ""
}

// Fingerprints are those of all configured keys, the first one first.
func (v *Vault) Fingerprints() []string {
	if ring := v.currentRing(); ring != nil {
		return ring.Fingerprints()
	}
	return nil
}

func (v *Vault) micros() store.Micros { return store.MicrosOf(v.now()) }

// newID makes an id (UUID version 7): random where it matters, ordered by time
// so that indexes grow at their end.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// timeOf is the optional stored time as the API gives it.
func timeOf(m *store.Micros) *time.Time { return store.OptionalTime(m) }

// Maintain removes what has run out: sessions, remembered answers, mails that were
// sent, former versions of secrets by the rule of retention, and old events of the
// audit trail. It tells people of tokens that expire soon. It is safe to run on any
// number of servers at the same time.
func (v *Vault) Maintain(ctx context.Context) error {
	return errors.Join(v.removeExpired(ctx), v.pruneHistory(ctx), v.pruneAudit(ctx), v.warnOfTokens(ctx))
}

func (v *Vault) removeExpired(ctx context.Context) error {
	now := v.now()
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.DeleteExpiredSessions(ctx, store.MicrosOf(now), store.MicrosOf(now.Add(-sessionIdle))); err != nil {
			return err
		}
		if err := tx.DeletePlaces(ctx, store.MicrosOf(now.Add(-placeLife))); err != nil {
			return err
		}
		if err := tx.DeletePasswordResets(ctx, store.MicrosOf(now)); err != nil {
			return err
		}
		err := tx.DeleteThrottles(ctx, store.MicrosOf(now), store.MicrosOf(now.Add(-throttleLife)), inviters, store.MicrosOf(now.Add(-inviterDay)))
		if err != nil {
			return err
		}
		if err := tx.DeleteEndedInvitations(ctx, store.MicrosOf(now.Add(-invitationLife))); err != nil {
			return err
		}
		if err := tx.DeleteEndedMail(ctx, store.MicrosOf(now.Add(-mailMemory))); err != nil {
			return err
		}
		if err := tx.DeleteSignInAttempts(ctx, store.MicrosOf(now.Add(-ssoLife))); err != nil {
			return err
		}
		if err := tx.DeleteCLILogins(ctx, store.MicrosOf(now)); err != nil {
			return err
		}
		return tx.DeleteIdempotencyKeys(ctx, store.MicrosOf(now.Add(-idempotencyLife)))
	})
}
