package vault

import (
	"net/netip"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/store"
)

// Request is what is known of the request that an operation belongs to. It goes
// into the audit trail.
type Request struct {
	ID             string     // correlates answers, logs and audit events
	IP             netip.Addr // of the client, as far as trusted proxies tell
	UserAgent      string
	IdempotencyKey string // of a request that creates something; may be empty
	// Origin is the scheme and host that the request was sent to, such as
	// "https://secrets.example.com", if ALLOWED_HOSTS names that host letter by
	// letter; else it is empty. Links may be built from it.
	Origin string
	// BrowserMark is what the browser brings of a former sign-in: see
	// Vault.BrowserMark. It is looked at by Login alone.
	BrowserMark string
}

// Principal is who calls. Only this package makes one that is not anonymous:
// IdentifyToken and IdentifySession prove it from a credential, Local stands for
// a command on the server itself. The zero Principal is nobody.
type Principal struct {
	Request Request
	user    *store.User    // a person, by session or personal token
	session *store.Session // if by session
	token   *credential    // if by personal or service token
	local   bool
	// lacksFactor: a person must set up a second factor before he may do anything
	// else.
	lacksFactor bool
}

// credential is the token that a principal came with.
type credential struct {
	id        string
	name      string
	access    api.Access // of a service token
	projectID string     // of a service token
	expiresAt *store.Micros
}

// Anonymous is a caller without credentials.
func Anonymous(r Request) Principal { return Principal{Request: r} }

// Local is a command that runs on the server itself, with the server's own
// rights to database and key. It passes no policy but that of LocalOnly actions.
func Local() Principal { return Principal{local: true} }

// IsAnonymous reports whether nobody has proved who calls.
func (p Principal) IsAnonymous() bool { return p.user == nil && p.token == nil && !p.local }

// IsService reports whether a service token calls.
func (p Principal) IsService() bool { return p.user == nil && p.token != nil }

// SessionID is the id of the session that the caller came with, or "".
func (p Principal) SessionID() string {
	if p.session == nil {
		return ""
	}
	return p.session.ID
}

// Account is the person that calls; false if no person does.
func (p Principal) Account() (api.Account, bool) {
	if p.user == nil {
		return api.Account{}, false
	}
	return apiAccount(p.user), true
}

// LacksSecondFactor reports whether the caller must set up a second factor before
// he may do anything else.
func (p Principal) LacksSecondFactor() bool { return p.lacksFactor }

// ByProvider reports whether the caller's session began at the identity provider.
func (p Principal) ByProvider() bool { return p.session != nil && p.session.ByProvider }

// Actor is the caller as the audit trail names him.
func (p Principal) Actor() api.Actor {
	switch {
	case p.local:
		return api.Actor{Kind: api.ActorSystem, Name: "heartlock"}
	case p.user != nil:
		return api.Actor{Kind: api.ActorUser, ID: p.user.ID, Name: p.user.Email}
	case p.token != nil:
		return api.Actor{Kind: api.ActorServiceToken, ID: p.token.id, Name: p.token.name}
	default:
		return api.Actor{Kind: api.ActorAnonymous}
	}
}

// caller is how the store scopes what p sees.
func (p Principal) caller() store.Caller {
	if p.user != nil {
		return store.Caller{UserID: p.user.ID}
	}
	if p.token != nil {
		return store.Caller{TokenID: p.token.id}
	}
	return store.Caller{}
}

func storedActor(a api.Actor) store.Actor {
	return store.Actor{Kind: string(a.Kind), ID: a.ID, Name: a.Name}
}

func apiActor(a store.Actor) api.Actor {
	return api.Actor{Kind: api.ActorKind(a.Kind), ID: a.ID, Name: a.Name}
}
