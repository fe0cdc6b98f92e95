package api

import "time"

// LoginRequest signs a person in. Code is needed if his account has a second
// factor: a code of his authenticator app, or a recovery code. Without it, the
// right password is refused with a problem that has second_factor.
type LoginRequest struct {
	Email    string `json:"email"`
	Password Value  `json:"password"`
	Code     Value  `json:"code,omitzero"`
}

// Account is a person, as they see themselves.
type Account struct {
	ID          string `json:"id"`
	Email       string `json:"email"`
	FirstName   string `json:"first_name"`
	LastName    string `json:"last_name"`
	IsSuperuser bool   `json:"is_superuser"`
	HasPassword bool   `json:"has_password"`
}

// Me is who the caller is: a person, or a service token.
type Me struct {
	*Account
	SSOEnabled   bool  `json:"sso_enabled"`            // single sign-on is active on this server
	SecondFactor *bool `json:"second_factor,omitzero"` // of a person: signing in with the password asks for a code
	// SecondFactorDue: the server lets this account do nothing else before it has
	// set up a second factor.
	SecondFactorDue bool              `json:"second_factor_due,omitzero"`
	ServiceToken    *ServiceTokenSelf `json:"service_token,omitzero"`
}

// ServiceTokenSelf is what a service token may know of itself; a client takes
// its project and, if there is only one, its environment from here.
type ServiceTokenSelf struct {
	ID           string     `json:"id"`
	Name         string     `json:"name"`
	Project      string     `json:"project"`      // slug
	Environments []string   `json:"environments"` // slugs
	Access       Access     `json:"access"`
	ExpiresAt    *time.Time `json:"expires_at"`
}

// UpdateMe changes one's own names; what is absent stays.
type UpdateMe struct {
	FirstName *string `json:"first_name,omitzero"`
	LastName  *string `json:"last_name,omitzero"`
}

// ChangePassword replaces one's own password and ends all other sessions.
type ChangePassword struct {
	CurrentPassword Value `json:"current_password"`
	NewPassword     Value `json:"new_password"`
	RevokeTokens    bool  `json:"revoke_tokens,omitzero"` // all personal tokens too
}

// Session is one browser that is signed in.
type Session struct {
	ID         string    `json:"id"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	IP         string    `json:"ip"`
	UserAgent  string    `json:"user_agent"`
	Current    bool      `json:"current"` // the one that asks
}

// PersonalToken acts for a person outside the browser.
type PersonalToken struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"` // the first characters, to recognise it by
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	ExposedAt  *time.Time `json:"exposed_at"`     // when it was sent over plain http: replace it
	Token      *Value     `json:"token,omitzero"` // only in the answer that creates it
}

// CreatePersonalToken asks for a personal token; without ExpiresAt it does not
// expire.
type CreatePersonalToken struct {
	Name      string     `json:"name"`
	ExpiresAt *time.Time `json:"expires_at,omitzero"`
}

// OnboardingStatus says whether the first run is still to be done. Fixed names
// the settings that the server's configuration has already decided; it is there
// only while the first run is open.
type OnboardingStatus struct {
	Required bool     `json:"required"`
	Fixed    []string `json:"fixed,omitempty"`
}

// OnboardRequest finishes the first run.
type OnboardRequest struct {
	SetupToken    Value    `json:"setup_token,omitzero"`    // printed by the server; needed unless DEBUG=True
	AppURL        string   `json:"app_url,omitempty"`       // public base URL
	DatabaseURL   Value    `json:"database_url,omitzero"`   // another database than the present one
	EncryptionKey Value    `json:"encryption_key,omitzero"` // absent: one is generated and returned once
	Admin         NewAdmin `json:"admin"`
}

// NewAdmin is the first administrator.
type NewAdmin struct {
	Email     string `json:"email"`
	Password  Value  `json:"password"`
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
}

// OnboardResponse is the answer to a finished first run. EncryptionKey is there
// only if the server generated it: it must be saved now, it is not shown again.
type OnboardResponse struct {
	Account       Account `json:"account"`
	EncryptionKey *Value  `json:"encryption_key,omitzero"`
	Fingerprint   string  `json:"encryption_key_fingerprint"`
}
