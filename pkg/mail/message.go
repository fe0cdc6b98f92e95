package mail

import (
	"time"

	"github.com/go-json-experiment/json"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Message is what a mail says, before it is put into words. Its fields are data,
// some of which strangers have chosen: templates escape them.
//
// Messages wait in a queue, so they must survive JSON.
type Message interface {
	// Kind names the message in the queue and in logs.
	Kind() string
}

// Invitation asks someone to join a project. Link opens it: whoever has the mail
// has the invitation.
type Invitation struct {
	Project   string    `json:"project"` // name
	Role      string    `json:"role"`
	InvitedBy string    `json:"invited_by"` // name or address
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expires_at"`
}

// PasswordReset carries the link to choose a new password.
type PasswordReset struct {
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expires_at"`
	IP        string    `json:"ip"` // of who asked for it
	// Administrator is the address of the administrator who asked for it; empty:
	// it was somebody on the sign-in page.
	Administrator string `json:"administrator,omitempty"`
}

// AccountCreated tells a person that an administrator has made an account for
// him, with the link to choose its password.
type AccountCreated struct {
	CreatedBy string    `json:"created_by"` // name or address
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expires_at"`
}

// PasswordChanged tells a person that his password is another one now.
type PasswordChanged struct {
	At time.Time `json:"at"`
	IP string    `json:"ip"`
}

// NewSignIn tells a person that someone signed in to his account from a place
// that it has not been used from before.
type NewSignIn struct {
	At        time.Time `json:"at"`
	IP        string    `json:"ip"`
	UserAgent string    `json:"user_agent"`
	// Token is the name of the personal token that was made with it, if it was the
	// command line that signed in.
	Token string `json:"token,omitempty"`
}

// TokenExpires tells who made a token that it expires soon.
type TokenExpires struct {
	Name      string    `json:"name"`
	Project   string    `json:"project"` // name; empty for a personal token
	ExpiresAt time.Time `json:"expires_at"`
}

// AdministratorJoined tells the owners of a project that an administrator of the
// server has made himself a member of it.
type AdministratorJoined struct {
	Administrator string    `json:"administrator"`
	Project       string    `json:"project"` // name
	Role          string    `json:"role"`
	At            time.Time `json:"at"`
}

// SecondFactorChanged tells a person that the second factor of his account was
// switched on or off, that its recovery codes were replaced, or one was used, or that
// someone has sent wrong codes until he was stopped.
type SecondFactorChanged struct {
	Change string    `json:"change"` // "enabled", "disabled", "recovery_codes_renewed", "recovery_code" or "codes_refused"
	At     time.Time `json:"at"`
	IP     string    `json:"ip"`
}

// IdentityChanged tells a person that an account at the identity provider opens his
// account here from now on, or does so no more.
type IdentityChanged struct {
	Linked   bool      `json:"linked"`
	Provider string    `json:"provider"` // its address
	Account  string    `json:"account"`  // the address that the provider knows the person by; may be empty
	At       time.Time `json:"at"`
	IP       string    `json:"ip"`
}

// Test shows an administrator that mail arrives.
type Test struct {
	SentBy string    `json:"sent_by"`
	At     time.Time `json:"at"`
}

// Kind implements Message.
func (Invitation) Kind() string { return "invitation" }

// Kind implements Message.
func (PasswordReset) Kind() string { return "password-reset" }

// Kind implements Message.
func (AccountCreated) Kind() string { return "account-created" }

// Kind implements Message.
func (PasswordChanged) Kind() string { return "password-changed" }

// Kind implements Message.
func (NewSignIn) Kind() string { return "new-sign-in" }

// Kind implements Message.
func (TokenExpires) Kind() string { return "token-expires" }

// Kind implements Message.
func (AdministratorJoined) Kind() string { return "administrator-joined" }

// Kind implements Message.
func (SecondFactorChanged) Kind() string { return "second-factor-changed" }

// Kind implements Message.
func (IdentityChanged) Kind() string { return "identity-changed" }

// Kind implements Message.
func (Test) Kind() string { return "test" }

// Expiring is a message that has become pointless after a time: what it links to
// is not valid any more.
type Expiring interface {
	Message
	Expires() time.Time
}

// Expires implements Expiring.
func (m Invitation) Expires() time.Time { return m.ExpiresAt }

// Expires implements Expiring.
func (m PasswordReset) Expires() time.Time { return m.ExpiresAt }

// Expires implements Expiring.
func (m AccountCreated) Expires() time.Time { return m.ExpiresAt }

// Expires implements Expiring: a token that is gone needs no warning.
func (m TokenExpires) Expires() time.Time { return m.ExpiresAt }

// Encode is the form that a message waits in.
func Encode(m Message) ([]byte, error) {
	text, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "a mail could not be encoded")
	}
	return text, nil
}

// Decode reads what Encode wrote of a message of the kind.
func Decode(kind string, text []byte) (Message, error) {
	decode, known := decoders()[kind]
	if !known {
		return nil, fault.New(fault.Internal, "a mail of an unknown kind is waiting: "+kind)
	}
	return decode(text)
}

func decoders() map[string]func([]byte) (Message, error) {
	return map[string]func([]byte) (Message, error){
		Invitation{}.Kind():          decodeAs[Invitation],
		PasswordReset{}.Kind():       decodeAs[PasswordReset],
		AccountCreated{}.Kind():      decodeAs[AccountCreated],
		PasswordChanged{}.Kind():     decodeAs[PasswordChanged],
		NewSignIn{}.Kind():           decodeAs[NewSignIn],
		TokenExpires{}.Kind():        decodeAs[TokenExpires],
		AdministratorJoined{}.Kind(): decodeAs[AdministratorJoined],
		SecondFactorChanged{}.Kind(): decodeAs[SecondFactorChanged],
		IdentityChanged{}.Kind():     decodeAs[IdentityChanged],
		Test{}.Kind():                decodeAs[Test],
	}
}

func decodeAs[M Message](text []byte) (Message, error) {
	var m M
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "a waiting mail could not be decoded")
	}
	return m, nil
}
