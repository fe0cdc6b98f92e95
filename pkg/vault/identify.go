package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// How long a session lives, and how exactly the use of credentials is noted.
const (
	sessionLife      = 14 * 24 * time.Hour
	sessionIdle      = 24 * time.Hour
	touchGranularity = time.Minute
)

var (
	errBadToken   = fault.New(fault.Unauthenticated, "The token is not valid: it is mistyped, expired or revoked.")
	errBadSession = fault.New(fault.Unauthenticated, "Your session has ended. Sign in again.")
	errAddress    = fault.New(fault.Forbidden, "This token may not be used from your network address.")
)

// IdentifyToken finds who a personal or service token stands for. Anything that
// is not exactly a valid token, of an active person, from an allowed address, is
// fault.Unauthenticated or, for the address, fault.Forbidden.
func (v *Vault) IdentifyToken(ctx context.Context, text string, r Request) (Principal, error) {
	if !wellFormed(text) {
		return Principal{}, errBadToken
	}
	view, err := v.store.TokenByDigest(ctx, digestOf(text))
	if errors.Is(err, fault.NotFound) {
		return Principal{}, errBadToken
	}
	if err != nil {
		return Principal{}, err
	}
	now := v.micros()
	if view.ExpiresAt != nil && *view.ExpiresAt <= now || view.UserID != nil && !view.User.IsActive {
		return Principal{}, errBadToken
	}
	if !addressAllowed(view.AllowedCIDRs, r.IP) {
		return Principal{}, v.refuseAddress(ctx, tokenPrincipal(view, r))
	}
	if view.LastUsedAt == nil || now-*view.LastUsedAt >= store.Micros(touchGranularity.Microseconds()) {
		v.recorder.Touch(store.Touch{TokenID: view.ID, At: now, IP: addressText(r.IP)})
	}
	p := tokenPrincipal(view, r)
	if p.user != nil {
		p.lacksFactor, err = v.lacksFactor(ctx, p.user)
	}
	return p, err
}

// refuseAddress audits the use of a valid token from an address that it is not
// for: nothing shows better that it was stolen.
func (v *Vault) refuseAddress(ctx context.Context, p Principal) error {
	err := v.recordRead(ctx, p, event{
		action: ActionUseToken, outcome: outcomeRefused, projectID: p.token.projectID, target: p.token.name,
		detail: map[string]string{"reason": "address"},
	})
	if err != nil {
		return err
	}
	return errAddress
}

func tokenPrincipal(view *store.TokenView, r Request) Principal {
	p := Principal{Request: r, token: &credential{
		id: view.ID, name: view.Name, access: api.Access(view.Access), expiresAt: view.ExpiresAt,
	}}
	if view.UserID != nil {
		p.user = &view.User
	} else {
		p.token.projectID = *view.ProjectID
	}
	return p
}

// addressAllowed checks a client's address against a token's networks. An
// address that is not known is in none of them.
func addressAllowed(cidrs string, address netip.Addr) bool {
	if cidrs == "" {
		return true
	}
	address = address.Unmap().WithZone("")
	for _, text := range strings.Split(cidrs, ",") {
		if network, err := netip.ParsePrefix(text); err == nil && network.Contains(address) {
			return true
		}
	}
	return false
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}

// IdentifySession finds who a session token stands for; fault.Unauthenticated
// if the session has ended or its person is not active.
func (v *Vault) IdentifySession(ctx context.Context, text string, r Request) (Principal, error) {
	if len(text) != sessionTokenLength {
		return Principal{}, errBadSession
	}
	for _, key := range v.sessionKeys {
		in, err := v.store.SessionByDigest(ctx, sessionDigest(key, text))
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return Principal{}, err
		}
		return v.sessionPrincipal(ctx, in, r)
	}
	return Principal{}, errBadSession
}

func (v *Vault) sessionPrincipal(ctx context.Context, in *store.SignedIn, r Request) (Principal, error) {
	now := v.now()
	seen := in.Session.LastSeenAt.Time()
	if !in.User.IsActive || in.Session.ExpiresAt.Time().Before(now) || now.Sub(seen) >= sessionIdle {
		return Principal{}, errBadSession
	}
	if now.Sub(seen) >= touchGranularity {
		v.recorder.Touch(store.Touch{SessionID: in.Session.ID, At: store.MicrosOf(now)})
	}
	p := Principal{Request: r, user: &in.User, session: &in.Session}
	if in.Session.ByProvider { // which has asked for whatever it asks for
		return p, nil
	}
	var err error
	p.lacksFactor, err = v.lacksFactor(ctx, p.user)
	return p, err
}

// sessionTokenLength is 43 base62 characters: 256 bits.
const sessionTokenLength = 43

// sessionDigest is what is stored of a session token: keyed, so that a new
// SECRET_KEY ends every session.
func sessionDigest(key []byte, token string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(token))
	return mac.Sum(nil)
}

// MarkExposed notes that a token was sent over a connection that anyone could
// read. A text that is no valid token is ignored; the caller has refused the
// request anyway.
func (v *Vault) MarkExposed(ctx context.Context, text string, r Request) error {
	if !wellFormed(text) {
		return nil
	}
	view, err := v.store.TokenByDigest(ctx, digestOf(text))
	if errors.Is(err, fault.NotFound) || err == nil && view.ExposedAt != nil {
		return nil
	}
	if err != nil {
		return err
	}
	now := v.micros()
	p := tokenPrincipal(view, r)
	return v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		if err := tx.MarkTokenExposed(ctx, view.ID, now); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{
			action: ActionExposeToken, projectID: p.token.projectID, target: view.Name,
		})
	})
}
