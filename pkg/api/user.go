package api

import "time"

// User is an account as the administrators of the server see it.
type User struct {
	ID           string     `json:"id"`
	Email        string     `json:"email"`
	FirstName    string     `json:"first_name"`
	LastName     string     `json:"last_name"`
	IsActive     bool       `json:"is_active"`
	IsSuperuser  bool       `json:"is_superuser"`
	HasPassword  bool       `json:"has_password"`
	SSO          bool       `json:"sso"`           // an identity of a provider is linked to it
	SecondFactor bool       `json:"second_factor"` // signing in with the password asks for a code
	CreatedAt    time.Time  `json:"created_at"`
	LastLoginAt  *time.Time `json:"last_login_at"` // null: never
	Projects     int        `json:"projects"`      // how many it is a member of
}

// UserDetail is an account with its memberships, by the project's slug.
type UserDetail struct {
	User
	Memberships []UserMembership `json:"memberships"`
}

// UserMembership is one membership of an account.
type UserMembership struct {
	Project string `json:"project"` // id
	Slug    string `json:"slug"`
	Name    string `json:"name"`
	Role    Role   `json:"role"`
}

// CreateUser makes an account. Without a password the person chooses one by a
// link: see PasswordLink.
type CreateUser struct {
	Email       string `json:"email"`
	FirstName   string `json:"first_name,omitempty"`
	LastName    string `json:"last_name,omitempty"`
	IsSuperuser bool   `json:"is_superuser,omitzero"`
	Password    *Value `json:"password,omitzero"`
}

// CreatedUser is a new account, and the link by which its person chooses a
// password.
type CreatedUser struct {
	User
	PasswordLink *PasswordLink `json:"password_link"` // null: the account has a password
}

// PasswordLink is a link to choose a new password. Whoever has it has the
// account, so it goes to the person's address and to nobody else. Only on a
// server that can not send mail it is in the answer that creates it, for the
// administrator to pass on. It serves once, and a newer one takes its place.
type PasswordLink struct {
	Link      *Value    `json:"link"` // null: it was mailed
	ExpiresAt time.Time `json:"expires_at"`
}

// UpdateUser changes an account; what is absent stays. The address stays: what
// was done under it is in the audit trail.
type UpdateUser struct {
	FirstName   *string `json:"first_name,omitzero"`
	LastName    *string `json:"last_name,omitzero"`
	IsActive    *bool   `json:"is_active,omitzero"`
	IsSuperuser *bool   `json:"is_superuser,omitzero"`
}

// EndedSessions says how many sessions have ended.
type EndedSessions struct {
	Sessions int `json:"sessions"`
}

// AdminProject is a project as administrators of the server see it: who answers
// for it, and nothing of what is in it.
type AdminProject struct {
	ID        string    `json:"id"`
	Slug      string    `json:"slug"`
	Name      string    `json:"name"`
	Owners    []string  `json:"owners"`  // addresses
	Members   int       `json:"members"` // how many, owners included
	CreatedAt time.Time `json:"created_at"`
}

// JoinProject makes the calling administrator a member of a project with this
// role. There is no default: it decides over what he sees.
type JoinProject struct {
	Role Role `json:"role"`
}
