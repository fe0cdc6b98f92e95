package api

import "time"

// InvitationState is what has become of an invitation.
type InvitationState string

// The states. Only a pending invitation can be accepted; one that is pending or
// has expired can be sent again.
const (
	InvitationPending  InvitationState = "pending"
	InvitationAccepted InvitationState = "accepted"
	InvitationRevoked  InvitationState = "revoked" // or who invited lost the right to
	InvitationExpired  InvitationState = "expired"
)

// Inviter is who has invited.
type Inviter struct {
	Email string `json:"email"`
	Name  string `json:"name"` // empty if he has given none
}

// Invitation asks the owner of one address to join a project.
type Invitation struct {
	ID    string `json:"id"`
	Email string `json:"email"` // in its canonical spelling
	Role  Role   `json:"role"`
	// Environments narrows what the role allows in single environments, by their
	// slugs.
	Environments map[string]EnvironmentAccess `json:"environments"`
	State        InvitationState              `json:"state"`
	InvitedBy    Inviter                      `json:"invited_by"` // who has made the newest link
	CreatedAt    time.Time                    `json:"created_at"`
	SentAt       time.Time                    `json:"sent_at"` // when the newest link was made
	ExpiresAt    time.Time                    `json:"expires_at"`
	// Link opens the invitation: whoever has it can see it, and the account of the
	// address can accept it. On a server that can not send mail it also creates that
	// account; elsewhere the link in the mail does, which nobody else sees. It is
	// only in the answer that makes it.
	Link *Value `json:"link,omitzero"`
}

// CreateInvitation invites someone. Environments narrows what a viewer or member
// may do in single environments, by slug or id.
type CreateInvitation struct {
	Email        string                       `json:"email"`
	Role         Role                         `json:"role"`
	Environments map[string]EnvironmentAccess `json:"environments,omitzero"`
}

// OpenedInvitation is what the holder of a link is told.
type OpenedInvitation struct {
	Project   string          `json:"project"` // name; empty once the invitation was accepted or revoked
	Role      Role            `json:"role"`
	Email     string          `json:"email"`
	InvitedBy *Inviter        `json:"invited_by"` // absent like the project's name
	ExpiresAt time.Time       `json:"expires_at"`
	State     InvitationState `json:"state"`
	// AccountExists says how a pending invitation is accepted: by signing in with
	// the account, or by creating it.
	AccountExists bool `json:"account_exists"`
	// NeedsMailedLink says that this link serves only who is signed in with the
	// address, and does not tell whether there is an account: the link in the mail
	// does, and can create it, because it shows whose the mailbox is.
	NeedsMailedLink bool `json:"needs_mailed_link"`
}

// AcceptInvitation accepts an invitation: with a password for who has no account
// yet, without any of these for who is signed in.
type AcceptInvitation struct {
	Password  *Value `json:"password,omitzero"`
	FirstName string `json:"first_name,omitzero"`
	LastName  string `json:"last_name,omitzero"`
}

// AcceptedInvitation is what an accepted invitation has led to. A new account is
// signed in.
type AcceptedInvitation struct {
	Project Project `json:"project"`
	Account Account `json:"account"`
}
